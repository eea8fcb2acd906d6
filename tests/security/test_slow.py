"""Clients that send as slowly as they can: they are cut off, nothing is started, and honest slowness is served."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator

import pytest
from support.processes import Service, raw_request
from support.security import HEAD, impatient, rest
from support.theeye import StandIn


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def service(
    request: pytest.FixtureRequest, shared_theeye: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One place, a second for each 1000 bytes of a body and for a head."""
    folder = tmp_path_factory.mktemp("slow")
    with impatient(shared_theeye, folder, request.param, piece=1000, SYNC_MAX_WAITING="1") as running:
        yield running


def drip(sock: socket.socket, pieces: Iterator[bytes], pause: float = 0.2) -> float:
    """Sends one piece after the other until the service answers or hangs up; the seconds that it took."""
    began = time.monotonic()
    for piece in pieces:
        try:
            sock.sendall(piece)
        except OSError:
            break
        if select.select([sock], [], [], pause)[0] or time.monotonic() - began > 30:
            break
    return time.monotonic() - began


def bytes_for_ever(framing: str) -> Iterator[bytes]:
    while True:
        yield b"1\r\n \r\n" if framing == "chunks" else b" "


@pytest.mark.parametrize("framing", ["length", "chunks", "a chunk's size"])
def test_a_body_that_drips_is_cut_off_and_starts_nothing(
    framing: str, service: Service, shared_theeye: StandIn
) -> None:
    before = len(shared_theeye.calls_of("create"))
    header = b"Content-Length: 9999" if framing == "length" else b"Transfer-Encoding: chunked"
    size = iter([b";a=", *[b"b"] * 100]) if framing == "a chunk's size" else bytes_for_ever(framing)
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(HEAD + header + b"\r\n\r\n" + (b"1" if framing == "a chunk's size" else b""))
        assert 0.9 < drip(sock, size) < 15
        head, _, body = rest(sock).partition(b"\r\n\r\n")  # and then it hangs up
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert json.loads(body)["code"] == "ETOOSLOW"
    assert len(shared_theeye.calls_of("create")) == before
    good = raw_request("127.0.0.1", service.port, HEAD + b"Content-Length: 3\r\n\r\n[1]")
    assert good.status == 200  # the only place is free again


def test_what_follows_a_body_that_was_cut_off_is_no_request(service: Service, shared_theeye: StandIn) -> None:
    before = len(shared_theeye.calls_of("create"))
    smuggled = HEAD + b"Content-Length: 3\r\n\r\n[1]"
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(HEAD + b"Content-Length: 9999\r\n\r\n[")
        select.select([sock], [], [], 10)
        drip(sock, iter([smuggled] * 5))
        assert rest(sock).count(b"HTTP/1.1 ") == 1
    assert len(shared_theeye.calls_of("create")) == before


def test_a_large_body_may_take_longer_than_a_small_one(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(HEAD + b"Content-Length: 6002\r\n\r\n")
        assert drip(sock, iter([b"[", *[b" " * 600] * 10, b"]"])) > 2
        assert sock.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"


def test_headers_that_drip_are_cut_off(service: Service) -> None:
    """By ours in the threaded worker, in gevent's by gunicorn's `keepalive`, which covers the next request's head."""
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
        assert 0.9 < drip(sock, iter([b"a"] * 100)) < 15
        assert rest(sock) == b""
