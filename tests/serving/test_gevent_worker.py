"""Test the gevent worker: what it refuses, what it logs, and connections while it stops."""

import http.client
import os
import re
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.processes import Service, free_port, read_response, run_python, wait_until

WORKERS = ["gevent", "gthread"]
BURST = 400
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("worker", "option", "words"),
    [
        ("app.serving.gevent_worker.Worker", "--preload", "preload_app does not work with gevent"),
        ("app.serving.gevent_worker.Worker", "--max-requests=9", "max_requests would cut waiting requests"),
        ("app.serving.thread_worker.Worker", "--max-requests=9", "max_requests would cut waiting requests"),
        ("gthread", "--max-requests=9", "max_requests would cut waiting requests"),
    ],
)
def test_what_does_not_go_with_waits_is_refused(worker: str, option: str, words: str) -> None:
    options = ["--worker-class", worker, option]
    ran = run_python("-m", "gunicorn", *options, status=1, SYNC_BIND=f"127.0.0.1:{free_port()}")
    assert words in ran.stderr


def test_start_and_stop_log_no_warning() -> None:
    """gevent warns when a module that knows the unpatched ssl was imported before the worker patches it."""
    with Service(worker="gevent") as service:
        service.terminate()
        assert service.wait() == 0
        log = service.log_text()
    assert "Warning" not in log
    assert "Traceback" not in log


def burst(port: int) -> list[int]:
    """Open many connections at once, with a request on each; return the statuses."""
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(BURST)]
        for sock in socks:
            sock.sendall(GET)
        return [read_response(sock).status for sock in socks]


@pytest.mark.parametrize("worker", WORKERS)
def test_connections_that_come_in_during_a_reload_are_served(worker: str) -> None:
    with Service(worker=worker) as service:
        for _ in range(2):
            [before] = service.worker_pids()
            service.signal(signal.SIGHUP)
            while before in service.worker_pids():
                assert burst(service.port) == [200] * BURST
        assert "Traceback" not in service.log_text()


def has_pending(pid: int, number: signal.Signals) -> bool:
    """Return whether a process that is stopped (SIGSTOP) has a signal to handle when it continues."""
    pending = re.findall(r"^(?:SigPnd|ShdPnd):\t(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in pending)


@pytest.mark.parametrize("worker", WORKERS)
def test_connections_that_are_not_yet_accepted_at_a_stop_are_served(worker: str) -> None:
    with Service(worker=worker) as service, ExitStack() as stack:
        [pid] = service.worker_pids()
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: "State:\tT" in Path(f"/proc/{pid}/status").read_text(), 20, "the worker to stop")
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 20)) for _ in range(50)]
        for sock in socks:
            sock.sendall(GET)
        service.terminate()
        wait_until(lambda: has_pending(pid, signal.SIGTERM), 20, "SIGTERM at the worker")
        time.sleep(1.1)  # gunicorn looks once a second whether its gevent worker is to stop
        os.kill(pid, signal.SIGCONT)
        assert [read_response(sock).status for sock in socks] == [200] * 50
        assert service.wait(20) == 0


@pytest.mark.parametrize("worker", WORKERS)
def test_idle_connections_do_not_hold_up_the_end(worker: str) -> None:
    """Otherwise the worker would wait for them for `graceful_timeout`, 50 s here."""
    with Service(worker=worker) as service, socket.create_connection(("127.0.0.1", service.port)) as silent:
        kept = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b'{"status":"ok"}'
        service.terminate()
        assert service.wait(20) == 0
        assert silent.recv(1) == b""
        kept.close()
