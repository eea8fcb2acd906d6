"""Test connections that are closed before the client has sent everything, and workers that quit at once."""

import os
import signal
import socket
from pathlib import Path

import pytest
from support.processes import CHECKOUT, Service, read_response
from support.theeye import StandIn
from support.wire import HEAD

pytestmark = pytest.mark.settings(max_body=1_000_000)

BODY = bytes(15 << 20)  # more than the sockets' buffers hold
LENGTH = f"Content-Length: {len(BODY)}\r\n\r\n".encode()
REFUSED = {
    "an unknown token": (401, HEAD.replace(b"tok-acme", b"unknown") + b"Connection: close\r\n" + LENGTH),
    "too large": (413, HEAD + b"Connection: close\r\n" + LENGTH),
    "a chunk that is none": (400, HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
}

QUITS_TWICE = f"""
import os, signal
from pathlib import Path
exec(Path({str(CHECKOUT / "gunicorn.conf.py")!r}).read_text())

def worker_int(worker):
    first = not os.path.exists({{marker!r}})
    with open({{marker!r}}, "a") as marker:
        marker.write("quit\\n")
    if first:
        os.kill(os.getpid(), signal.SIGQUIT)
"""


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_reaches_a_client_that_is_still_sending(what: str, gunicorn: Service, its_theeye: StandIn) -> None:
    status, head = REFUSED[what]
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", gunicorn.port), 10) as sock:
            sock.sendall(head + BODY)
            assert read_response(sock).status == status
    assert not its_theeye.calls_of("create")


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_ctrl_c_ends_the_service_without_a_traceback(worker: str) -> None:
    """The terminal sends SIGINT to every process, and then the master sends SIGQUIT to its workers."""
    with Service(worker=worker, workers=2) as service:
        os.killpg(service.pid, signal.SIGINT)
        assert service.wait() == 0
        log = service.log_text()
    assert "Traceback" not in log
    assert "SIGKILL" not in log


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_a_second_signal_to_quit_is_ignored(worker: str, tmp_path: Path) -> None:
    config, marker = tmp_path / "quits_twice.py", tmp_path / "quits"
    config.write_text(QUITS_TWICE.format(marker=str(marker)))
    with Service(worker=worker, args=["--config", str(config)]) as service:
        service.signal(signal.SIGQUIT)
        assert service.wait() == 0
        assert "Traceback" not in service.log_text()
    assert marker.read_text() == "quit\n"
