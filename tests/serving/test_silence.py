"""More connections that ask for nothing than a worker takes: others are served, and who waits goes on waiting."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from support.processes import Service, raw_request
from support.theeye import StandIn, raise_file_limit
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
