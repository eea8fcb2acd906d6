"""Test clients that send as slowly as they can: they are cut off, nothing is started, and fair ones are served."""

import json
import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import chain, repeat

import pytest
from support.processes import Service, raw_request, wait_until
from support.settings import environment
from support.theeye import StandIn
from support.wire import CHUNKED, HEAD, rest

# gunicorn's configuration, with limits that a test can wait for
CONFIG = """
exec(compile(open("gunicorn.conf.py").read(), "gunicorn.conf.py", "exec"))
_before, keepalive = post_worker_init, 1

def post_worker_init(worker):
    import app.serving.thread_worker, app.api.body, app.api.sending
    app.api.body.BODY_SECONDS, app.api.body.BODY_PIECE = 1.0, 1000
    app.api.sending.PIECE_SECONDS = 3.0
    app.serving.thread_worker.HEAD_SECONDS = 1.0
    _before(worker)
"""


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def service(
    request: pytest.FixtureRequest, shared_theeye: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Run a service with one slot, 1 s for 1000 bytes of a body and for a head, 3 s for a piece of an answer."""
    config = tmp_path_factory.mktemp("slow") / "impatient.conf.py"
    config.write_text(CONFIG)
    env = environment(shared_theeye, max_waiting=1)
    with Service(env, worker=request.param, args=["--config", str(config)]) as running:
        yield running


def drip(sock: socket.socket, pieces: Iterable[bytes], pause: float = 0.2) -> float:
    """Send piece after piece until the service answers or closes the connection; return the seconds."""
    began = time.monotonic()
    for piece in pieces:
        try:
            sock.sendall(piece)
        except OSError:
            break
        if select.select([sock], [], [], pause)[0] or time.monotonic() - began > 30:
            break
    return time.monotonic() - began


FRAMINGS = {  # the head, and bytes without an end
    "length": (HEAD + b"Content-Length: 9999\r\n\r\n", b" "),
    "chunks": (CHUNKED + b"\r\n", b"1\r\n \r\n"),
    "a chunk's size": (CHUNKED + b"\r\n1;a=", b"b"),
    "a form": (HEAD + b"Content-Type: multipart/form-data; boundary=-\r\nContent-Length: 9999\r\n\r\n", b"-"),
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_body_that_drips_is_cut_off_and_starts_nothing(framing: str, service: Service, its_theeye: StandIn) -> None:
    head, piece = FRAMINGS[framing]
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        assert 0.9 < drip(sock, chain([head], repeat(piece))) < 15
        answer, _, body = rest(sock).partition(b"\r\n\r\n")  # and then it hangs up
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert json.loads(body)["code"] == "ETOOSLOW"
    assert its_theeye.calls_of("create") == []
    good = raw_request("127.0.0.1", service.port, HEAD + b"Content-Length: 3\r\n\r\n[1]")
    assert good.status == 200  # the only slot is free again


def test_what_follows_a_body_that_was_cut_off_is_no_request(service: Service, its_theeye: StandIn) -> None:
    smuggled = HEAD + b"Content-Length: 3\r\n\r\n[1]"
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(HEAD + b"Content-Length: 9999\r\n\r\n[")
        select.select([sock], [], [], 10)
        drip(sock, [smuggled] * 5)
        assert rest(sock).count(b"HTTP/1.1 ") == 1
    assert its_theeye.calls_of("create") == []


def test_a_large_body_may_take_longer_than_a_small_one(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(HEAD + b"Content-Length: 20002\r\n\r\n")
        assert drip(sock, [b"[", *[b" " * 1000] * 20, b"]"], 0.1) > 2
        assert sock.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"


def test_headers_that_drip_are_cut_off(service: Service) -> None:
    """Our threaded worker does it; gevent's has gunicorn's `keepalive`, which covers the next request's head."""
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        assert 0.9 < drip(sock, [b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ", *[b"a"] * 100]) < 15
        assert rest(sock) == b""


def test_who_does_not_read_is_cut_off_and_who_reads_slowly_is_not(service: Service, its_theeye: StandIn) -> None:
    its_theeye.task(output=["x" * 20_000_000], result={})
    before = service.log_text().count("did not read its answer in time")
    with socket.create_connection(("127.0.0.1", service.port), 30) as idle:
        idle.sendall(HEAD + b"Content-Length: 3\r\n\r\n[1]")
        wait_until(
            lambda: service.log_text().count("did not read its answer in time") == before + 1,
            30,
            "the end of who does not read",
        )
        assert len(rest(idle)) < 20_000_000
    job = f"/job/{list(its_theeye.jobs)[-1]} ".encode()
    with socket.create_connection(("127.0.0.1", service.port), 30) as slow:
        slow.sendall(HEAD.replace(b"POST", b"GET").replace(b"/job ", job) + b"Connection: close\r\n\r\n")
        for _ in range(5):  # the whole takes longer than a piece may
            threading.Event().wait(1)
            assert slow.recv(1 << 20)
        assert len(rest(slow)) > 14_000_000
    its_theeye.task()
    assert service.log_text().count("did not read its answer in time") == before + 1
    assert "Traceback" not in service.log_text()
