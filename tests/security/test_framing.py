"""Test where a request ends: both of gunicorn's parsers refuse what a proxy and the service could read differently."""

from collections.abc import Iterator

import pytest
from support.processes import Service
from support.settings import environment
from support.theeye import StandIn
from support.wire import CHUNKED, HEAD, talk

NEXT = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module", params=[("gevent", "fast"), ("gevent", "python"), ("gthread", "fast")], ids="-".join)
def service(request: pytest.FixtureRequest, shared_theeye: StandIn) -> Iterator[Service]:
    worker, parser = request.param
    with Service(environment(shared_theeye), worker=worker, args=["--http-parser", parser]) as running:
        yield running


AMBIGUOUS = {
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunks and length": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + NEXT,
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n[1]",
    "one length twice": HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n[1]",
    "a list of lengths": HEAD + b"Content-Length: 3, 3\r\n\r\n[1]",
    "a length with a sign": HEAD + b"Content-Length: +3\r\n\r\n[1]",
    "a length as Python reads it": HEAD + b"Content-Length: 0_3\r\n\r\n[1]",
    "a space before the colon": HEAD + b"Content-Length : 3\r\n\r\n[1]",
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked is not the last coding": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + NEXT,
    "two codings": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + NEXT,
    "a coding behind a vertical tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunks in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n0\r\n\r\n" + NEXT,
    "a folded header": HEAD + b"X-A: b\r\n c\r\nContent-Length: 3\r\n\r\n[1]",
    "lines that end with LF": HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 3\n\n[1]",
    "one line that ends with LF": HEAD + b"X-A: b\nContent-Length: 3\r\n\r\n[1]",
    "a CR inside a header": HEAD + b"X-A: b\rContent-Length: 3\r\n\r\n[1]",
    "a NUL inside a header": HEAD + b"X-A: b\x00c\r\nContent-Length: 3\r\n\r\n[1]",
    "a header without a name": HEAD + b": b\r\nContent-Length: 3\r\n\r\n[1]",
    "a chunk's extension with LF": CHUNKED + b"\r\n3;a\nb\r\n[1]\r\n0\r\n\r\n",
    "a chunk's size with 0x": CHUNKED + b"\r\n0x3\r\n[1]\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"\r\n3\r\n[1] \r\n0\r\n\r\n",
    "tabs in the request line": NEXT.replace(b" ", b"\t"),
    "a NUL in the path": NEXT.replace(b"healthz", b"health\0z"),
    "bytes above ASCII in the path": NEXT.replace(b"healthz", b"health\xffz"),
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "the PROXY protocol": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + NEXT,
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused_and_ends_the_connection(
    what: str, service: Service, its_theeye: StandIn
) -> None:
    answer = talk(service, AMBIGUOUS[what])
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))  # 501: a coding that gunicorn does not know
    assert b"HTTP/1.1 200 " not in answer
    assert its_theeye.calls_of("create") == []


@pytest.mark.parametrize(
    ("what", "data", "status"),
    [
        ("line", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        ("header", NEXT[:-2] + b"X-A: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
        ("headers", NEXT[:-2] + b"X-A: a\r\n" * 200 + b"\r\n", b"431"),
    ],
)
def test_a_head_that_is_too_large_is_refused(what: str, data: bytes, status: bytes, service: Service) -> None:
    assert talk(service, data).startswith(b"HTTP/1.1 " + status)


def test_a_line_without_an_end_is_not_collected_for_ever(service: Service) -> None:
    answer = talk(service, b"GET /" + b"a" * 900_000)
    assert answer[:12] in (b"HTTP/1.1 414", b"HTTP/1.1 431", b"")  # or a reset, since not all of it was read


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO"])
def test_no_header_changes_the_path(name: str, service: Service) -> None:
    """Rules of a proxy that depend on the path apply to what the service does."""
    head = f"Host: x\r\n{name}: /healthz\r\nConnection: close\r\n\r\n".encode()
    assert talk(service, b"GET /nope HTTP/1.1\r\n" + head).startswith(b"HTTP/1.1 404 ")
    assert talk(service, b"GET /healthz/healthz HTTP/1.1\r\n" + head).startswith(b"HTTP/1.1 404 ")
    assert talk(service, b"GET /healthz HTTP/1.1\r\n" + head).startswith(b"HTTP/1.1 200 ")


def test_requests_behind_each_other_are_served_in_order(service: Service) -> None:
    """A body of a known length ends where it says, and the next request begins there."""
    last = NEXT.replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = talk(service, HEAD + b"Content-Length: 3\r\n\r\n[1]" + CHUNKED + b"\r\n3\r\n[1]\r\n0\r\n\r\n" + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.endswith(b'{"status":"ok"}')
