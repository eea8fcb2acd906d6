"""Test more silent connections than a worker accepts: others are served, and waits continue."""

import http.client
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from support.processes import Service, raw_request, read_response
from support.settings import environment
from support.theeye import StandIn, raise_file_limit
from support.tls import make_certificate
from support.world import World, over_http

CROWD = 1700  # a worker takes 1024 connections more than may wait
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CROWDS = {
    "say nothing": b"",
    "begin a head": b"GET / HTTP/1.1\r\nX: ",
    "owe a body that nobody reads": GET.replace(b"Connection: close", b"Content-Length: 9"),
}


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
@pytest.mark.parametrize("crowd", CROWDS)
def test_a_crowd_does_not_stop_a_worker(
    crowd: str, worker: str, theeye: StandIn, service: Callable[..., Service]
) -> None:
    raise_file_limit()
    running = service(worker, max_waiting=500)
    with World(theeye, over_http(running.url)).parked() as ([job_id], [waiting]), ExitStack() as stack:
        for _ in range(CROWD):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", running.port), 20))
            sock.sendall(CROWDS[crowd])
        assert raw_request("127.0.0.1", running.port, GET, 40).status == 200, "not after 75 s"
        assert not waiting.done()
        theeye.finish(job_id, output=["1"])
        assert waiting.result(20).get_json() == ["1"]


HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: y\r\n"


def test_halves_of_heads_take_few_threads_and_are_served_once_they_are_whole(service: Callable[..., Service]) -> None:
    running = service("gthread")
    [pid] = running.worker_pids()
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", running.port), 20)) for _ in range(150)]
        for sock in socks[:100]:
            sock.sendall(HALF)
        for sock in socks[100:]:
            sock.sendall(HALF + b"\r\n" + HALF)
            assert read_response(sock).status == 200
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) < 80
        for sock in socks:
            sock.sendall(b"X-Token: y\r\n")
        for sock in socks:
            sock.sendall(b"\r\n")
        assert [read_response(sock).status for sock in socks] == [200] * 150


class SecureService(Service):
    """Run a service behind TLS."""

    def _is_healthy(self) -> bool:
        return self._all_are_up()

    def health(self) -> int:
        secure = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=40, context=secure)
        with closing(connection):
            connection.request("GET", "/healthz")
            return connection.getresponse().status


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_a_crowd_that_begins_no_tls_handshake_does_not_stop_a_worker(
    worker: str, theeye: StandIn, tmp_path: Path
) -> None:
    raise_file_limit()
    certificate, key = map(str, make_certificate(tmp_path))
    options = ("--certfile", certificate, "--keyfile", key)
    with SecureService(environment(theeye, max_waiting=500), worker, 1, args=options) as running, ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), 20))
        assert running.health() == 200
        assert "Traceback" not in running.log_text()
