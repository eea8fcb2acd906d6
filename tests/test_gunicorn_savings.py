"""What gunicorn is spared: answers come in one piece, and the date goes on."""

import socket
import time
from collections.abc import Iterator

import pytest
from servers import Service, wait_until
from standin import StandIn


@pytest.fixture(params=["gevent", "gthread"])
def service(request: pytest.FixtureRequest, theeye: StandIn) -> Iterator[Service]:
    env = {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url}
    with Service(env, worker=request.param) as service:
        yield service


def ask(service: Service, request: str) -> list[bytes]:
    """The pieces in which the answer to a request arrives."""
    pieces = []
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(f"{request}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        while piece := sock.recv(65536):
            pieces.append(piece)
    return pieces


def date_of(service: Service) -> str:
    head = b"".join(ask(service, "GET /healthz HTTP/1.1")).decode()
    return next(line for line in head.split("\r\n") if line.startswith("Date: "))


def test_head_and_body_arrive_in_one_piece(service: Service) -> None:
    for _ in range(20):
        [piece] = ask(service, "GET /healthz HTTP/1.1")
        assert piece.endswith(b'\r\n\r\n{"status":"ok"}')


@pytest.mark.parametrize("request_line", ["HEAD /healthz HTTP/1.1", "OPTIONS /x HTTP/1.1"])
def test_a_head_without_a_body_is_not_held_back(service: Service, request_line: str) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        for _ in range(20):
            sock.sendall(f"{request_line}\r\nHost: x\r\n\r\n".encode())
            assert sock.recv(65536).endswith(b"\r\n\r\n")
    assert time.monotonic() - began < 20 * 0.2, "nothing is waited for"


def test_the_date_goes_on(service: Service) -> None:
    first = date_of(service)
    wait_until(lambda: date_of(service) != first, 3, "another second")
