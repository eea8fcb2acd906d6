"""Test the HTTP client of the hot path: what is reused, what is lost, and when it gives up."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.faults import Answer, Exchange
from support.processes import free_port, wait_until
from support.theeye import (
    CloseAfter,
    CloseBefore,
    Drip,
    HalfBody,
    Redirect,
    Reply,
    Reset,
    Silence,
    StandIn,
    Verbatim,
)
from support.tls import tls_server
from support.transport import LIMIT, opened

from app.theeye import idle
from app.theeye import transport as module
from app.theeye.connection import Connection
from app.theeye.transport import AnswerLost, AnswerTooLarge, NotSent, Transport, TransportError

HANGS = 6.0  # seconds after which a call has not kept to its deadline of half a second, on the busiest machine
TOKEN = [("Authorization", "Bearer tok")]
SECRET = [("Authorization", "Bearer tok-secret")]
ACME = [("Authorization", "Bearer tok-acme")]


@pytest.fixture
def transport(theeye: StandIn) -> Iterator[Transport]:
    with opened(theeye.url, connect_timeout=2.0, call_timeout=5.0) as transport:
        yield transport


def connections(theeye: StandIn) -> list[int]:
    """Return the connection of each call, in order."""
    return [call.connection for call in theeye.calls]


# -- what is sent -------------------------------------------------------------------------------------------


def test_a_call_is_one_plain_request(theeye: StandIn, transport: Transport) -> None:
    transport.call("GET", "/x?a=1", TOKEN)
    call = theeye.calls[0]
    assert (call.method, call.target, call.body) == ("GET", "/x?a=1", b"")
    assert call.headers == {
        "host": f"127.0.0.1:{theeye.port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": "Bearer tok",
    }


def test_a_body_is_json_of_a_known_length(theeye: StandIn, transport: Transport) -> None:
    transport.call("POST", "/x", TOKEN, b"[1]")
    transport.call("POST", "/x", TOKEN, b"")
    transport.call("PUT", "/x")
    first, second, third = theeye.calls
    assert (first.body, first.headers["content-length"]) == (b"[1]", "3")
    assert first.headers["content-type"] == second.headers["content-type"] == "application/json"
    assert second.headers["content-length"] == third.headers["content-length"] == "0"
    assert "content-type" not in third.headers
    assert "authorization" not in third.headers


def test_what_is_passed_on_as_it_is(theeye: StandIn, transport: Transport) -> None:
    with opened(f"{theeye.url}/base") as based:
        based.call("GET", "/x")
    assert theeye.calls[0].target == "/base/x", "the base URL's path comes first"
    transport.call("GET", "/x", [("X-Name", "Ada\tñ")])
    assert theeye.calls[1].headers["x-name"] == "Ada\tñ"
    theeye.fault("any", Reply(429, {}, {"retry-AFTER": "7"}), times=1)
    reply = transport.call("GET", "/x")
    assert (reply.headers["Retry-After"], reply.headers.get("X-Other")) == ("7", None), "in any case"


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500])
def test_every_status_is_an_answer(status: int, theeye: StandIn, transport: Transport) -> None:
    theeye.fault("any", Reply(status, b'"x"'), times=1)
    reply = transport.call("GET", "/x")
    assert (reply.status, reply.body) == (status, b"" if status in (204, 304) else b'"x"')
    assert transport.call("GET", "/x").status == 404
    assert connections(theeye) == [1, 1]


def test_a_redirect_is_not_followed(theeye: StandIn, transport: Transport) -> None:
    theeye.fault("any", Redirect(f"{theeye.url}/elsewhere"))
    assert transport.call("GET", "/x", TOKEN).status == 302
    assert [call.target for call in theeye.calls] == ["/x"]


@pytest.mark.parametrize(
    ("path", "header"),
    [
        *(("/x", ("X-Trace", f"secret{end}")) for end in ("\r\nX-Other: 1", "\n", "\r", "\x00", "€")),
        *(("/x", header) for header in (("X-Trace: secret\r\nX", "1"), ("X Trace", "secret"), ("", "secret"))),
        *((path, ("X", "1")) for path in ("/x secret", "/x\r\nX-Other: secret", "/\xf1secret")),
    ],
)
def test_what_is_no_http_is_not_sent(path: str, header: tuple[str, str], theeye: StandIn, transport: Transport) -> None:
    with pytest.raises(NotSent, match="has a character that HTTP does not allow") as caught:
        transport.call("POST", path, [header], b"[]")
    assert theeye.calls == []
    assert theeye.open_connections == 0
    assert header[0].startswith("X-Trace:") or "secret" not in str(caught.value)


# -- reuse --------------------------------------------------------------------------------------------------


def test_calls_share_a_connection_until_the_other_side_closes_it(theeye: StandIn, transport: Transport) -> None:
    for _ in range(3):
        transport.call("GET", "/x")
    assert connections(theeye) == [1, 1, 1]
    assert theeye.drop_idle() == 1
    assert transport.call("POST", "/y", body=b"[]").status == 404
    assert [call.target for call in theeye.calls] == ["/x", "/x", "/x", "/y"], "one closed while idle costs nothing"
    assert connections(theeye) == [1, 1, 1, 2]
    theeye.fault("any", Reply(200, b"{}", {"Connection": "close"}), times=1)
    transport.call("GET", "/x")
    transport.call("GET", "/x")
    assert connections(theeye) == [1, 1, 1, 2, 2, 3], "its wish is respected"


def test_several_connections_closed_while_idle_cost_nothing(theeye: StandIn, transport: Transport) -> None:
    theeye.freeze()
    with ThreadPoolExecutor(5) as pool:
        for _ in range(5):
            pool.submit(transport.call, "GET", "/x")
        theeye.wait_for_calls("any", 5)  # each on a connection of its own
        theeye.thaw()
    assert theeye.drop_idle() == 5
    assert transport.call("GET", "/y").status == 404
    assert len(theeye.calls) == 6


@dataclass(frozen=True)
class TwoAnswers:
    """Send an answer and another one: at once, or some seconds later."""

    later: float
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    def play(self, exchange: Exchange) -> bool:
        if not self.later:
            exchange.connection.send(self.answer * 2, last=True)
            return True
        exchange.connection.send(self.answer)
        exchange.connection.gate.pause(self.later)
        exchange.connection.send(self.answer, last=True)
        return True


@pytest.mark.parametrize("later", [0, 0.05])
def test_bytes_that_nobody_asked_for_spoil_a_connection(later: float, theeye: StandIn, transport: Transport) -> None:
    theeye.fault("any", TwoAnswers(later), times=1)
    assert transport.call("GET", "/x").status == 200
    if later:
        wait_until(lambda: not quiet(transport), 20, "the second answer")
    assert transport.call("GET", "/y").status == 404, "and not the answer that came too much"
    assert connections(theeye) == [1, 2]


def quiet(transport: Transport) -> bool:
    """Return whether the idle connection has nothing to read."""
    sock = transport._idle._idle[0]._sock
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True


def test_a_pool_that_closes_while_a_connection_is_kept_leaves_none_open() -> None:
    class Closing(Connection):
        @property
        def idle_since(self) -> float:
            pool.close()  # as another thread, in the middle of `keep`
            return 0.0

        @idle_since.setter
        def idle_since(self, value: float) -> None:
            """Ignore the value."""

    pool, (ours, theirs) = idle.IdleConnections(), socket.socketpair()
    with theirs:
        pool.keep(kept := Closing(ours, 0.0))
        assert kept.closed


def test_idle_connections_end(theeye: StandIn, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= idle.IDLE_SECONDS < 5, "before Node's five seconds"
    transport.call("GET", "/x")
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0.0)
    transport.call("GET", "/x")
    assert connections(theeye) == [1, 2], "one that was idle for long is not reused"
    wait_until(lambda: theeye.open_connections == 1, 20, "the end of the old connection")
    transport.close()
    wait_until(lambda: theeye.open_connections == 0, 20, "the end of the connection")
    transport.call("GET", "/x")
    assert connections(theeye) == [1, 2, 3]


# -- not sent -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "nowhere.invalid", "x" * 64 + ".invalid"])
def test_nobody_there_is_not_sent(host: str) -> None:
    with opened(f"http://{host}:{free_port()}") as transport, pytest.raises(NotSent, match="cannot connect"):
        transport.call("GET", "/x?secret=1", SECRET, b"secret")


def test_too_many_calls_at_once_are_not_sent(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTIONS", 1)
    theeye.fault("any", Silence(), times=1)
    with opened(theeye.url) as transport, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(transport.call, "GET", "/slow")
        theeye.wait_for_calls("any", 1)
        with pytest.raises(NotSent, match="too many calls"):
            transport.call("POST", "/x", timeout=0.05)
        theeye.stop()
        assert isinstance(slow.exception(), AnswerLost)
        theeye.start()
        assert transport.call("GET", "/y").status == 404, "the slot is free again"
    assert [call.target for call in theeye.calls] == ["/slow", "/y"]


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_a_call_without_any_time_left_is_not_sent(timeout: float, theeye: StandIn, transport: Transport) -> None:
    for _ in range(2):  # without a kept connection and with one
        with pytest.raises(NotSent, match="timed out"):
            transport.call("POST", "/x", body=b"[]", timeout=timeout)
        transport.call("GET", "/y")
    assert [call.target for call in theeye.calls] == ["/y", "/y"]
    assert transport._free.qsize() == module.CONNECTIONS


# -- the answer is lost -----------------------------------------------------------------------------------------

LOST: dict[str, Any] = {
    "closed before": CloseBefore(),
    "closed after": CloseAfter(),
    "reset": Reset(),
    "half a body": HalfBody(),
    "silence": Silence(),
    "no HTTP": Verbatim(b"hello\r\n\r\n"),
    "nothing but a line": Verbatim(b"\r\n"),
    "half a status line": Verbatim(b"HTTP/1.1 2"),
    "half the headers": Verbatim(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "whole headers without their end": Verbatim(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
    "an endless line": Verbatim(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
    "too many headers": Verbatim(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n"),
    "no status": Verbatim(b"HTTP/1.1 abc OK\r\n\r\n"),
    "half a chunk": Verbatim(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "no last chunk": Verbatim(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
    "no chunk length": Verbatim(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n0\r\n\r\n"),
    "a chunk of -1": Verbatim(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\n"),
    "a negative chunk": Verbatim(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nab\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST.keys())
def test_a_call_without_a_whole_answer_is_lost_and_never_repeated(fault: Any, theeye: StandIn) -> None:
    theeye.fault("any", fault, times=1)
    with opened(theeye.url) as transport:
        timeout = 0.5 if isinstance(fault, Silence) else None
        with pytest.raises(AnswerLost) as caught:
            transport.call("POST", "/secret?secret=1", SECRET, b'{"secret":1}', timeout)
        assert "secret" not in str(caught.value)
        assert str(caught.value)
        assert len(theeye.calls) == 1
        assert transport.call("GET", "/x").status == 404, "on a new connection"
    assert connections(theeye) == [1, 2]


def test_both_kinds_are_transport_errors_but_never_each_other() -> None:
    assert issubclass(NotSent, TransportError)
    assert issubclass(AnswerTooLarge, AnswerLost)
    assert not issubclass(NotSent, AnswerLost)
    assert not issubclass(AnswerLost, NotSent)


# -- the deadline -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DripBody:
    """Send the head at once, the body byte by byte."""

    chunked: bool

    def play(self, exchange: Exchange) -> bool:
        answer = Answer(200, b"x" * 100, chunked=self.chunked)
        exchange.connection.send(answer.head())
        for byte in answer.payload():
            exchange.connection.gate.pause(0.05)
            exchange.connection.send(bytes([byte]))
        return True


@dataclass(frozen=True)
class Flood:
    """Send the same bytes repeatedly, as fast as they are read: the reader never waits."""

    data: bytes
    head: bytes = b""

    def play(self, exchange: Exchange) -> bool:
        exchange.connection.send(self.head)
        while True:
            exchange.connection.send(self.data)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SLOW = {
    "header": Drip(0.05),
    "body": DripBody(False),
    "chunks": DripBody(True),
    "silence": Silence(),
    "interim answers": Flood(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    "continue": Flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "chunks of one byte": Flood(b"1;" + b"x" * 60_000 + b"\r\nx\r\n", CHUNKED),
    "trailers": Flood(b"X: y\r\n" * 100, CHUNKED + b"0\r\n"),
}


@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW.keys())
def test_the_deadline_is_for_the_whole_call(fault: Any, theeye: StandIn) -> None:
    theeye.fault("any", fault)
    with opened(theeye.url, call_timeout=0.5) as transport:
        began = time.monotonic()
        with pytest.raises(AnswerLost, match="timed out"):
            transport.call("GET", "/x")
        assert 0.45 <= time.monotonic() - began < HANGS


@pytest.mark.parametrize(("call_timeout", "timeout"), [(60.0, 0.5), (0.5, 60.0)])
def test_a_call_can_have_an_earlier_deadline_but_no_later(call_timeout: float, timeout: float, theeye: StandIn) -> None:
    theeye.fault("any", Silence())
    with opened(theeye.url, call_timeout=call_timeout) as transport:
        began = time.monotonic()
        with pytest.raises(AnswerLost, match="timed out"):
            transport.call("GET", "/x", timeout=timeout)
        assert 0.45 <= time.monotonic() - began < HANGS


def test_a_slow_answer_within_the_deadline_is_whole(theeye: StandIn, transport: Transport) -> None:
    theeye.fault("any", Drip(0.002), times=1)
    assert b"not found" in transport.call("GET", "/x").body
    assert transport.call("GET", "/x").status == 404
    assert connections(theeye) == [1, 1], "a socket's timeout is set anew for each call"


@pytest.mark.parametrize(
    ("scheme", "limits", "error"),
    [("http", {"call_timeout": 0.5}, AnswerLost), ("https", {"connect_timeout": 0.3}, NotSent)],
    ids=["reads nothing", "never ends its handshake"],
)
def test_a_silent_peer_ends_at_the_deadline(scheme: str, limits: dict[str, float], error: type[TransportError]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began, url = time.monotonic(), f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        with opened(url, **limits) as transport, pytest.raises(error, match="timed out"):
            transport.call("POST", "/x", body=b"x" * 50_000_000)
        assert 0.25 <= time.monotonic() - began < HANGS


# -- the size -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sized:
    """Send a body of some bytes, in one of the ways that HTTP allows."""

    size: int
    framing: str

    def play(self, exchange: Exchange) -> bool:
        answer = Answer(200, b"x" * self.size, chunked=self.framing == "chunked")
        if self.framing != "until the end":
            return exchange.reply(answer)
        exchange.connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + answer.body)
        return False


@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
def test_an_answer_may_have_the_limit_but_not_a_byte_more(framing: str, theeye: StandIn, transport: Transport) -> None:
    theeye.fault("any", Sized(LIMIT, framing), times=1)
    theeye.fault("any", Sized(LIMIT + 1, framing), times=1)
    theeye.fault("any", Sized(100 * LIMIT, framing), times=1)
    theeye.fault("any", Verbatim(f"HTTP/1.1 200 OK\r\nContent-Length: {LIMIT + 1}\r\n\r\n".encode()), times=1)
    assert len(transport.call("GET", "/x").body) == LIMIT
    for _ in range(3):  # the last one's size is announced, and it does not come
        with pytest.raises(AnswerTooLarge, match=f"more than {LIMIT} bytes"):
            transport.call("GET", "/x")
    assert transport.call("GET", "/x").status == 404, "the rest of it is not taken for the next answer"


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [False, True])
def test_an_untrusted_certificate_or_one_for_another_host_is_not_sent(
    trusted: bool, certificate: tuple[Path, Path], theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with tls_server(certificate, theeye) as url:
        host = "localhost" if trusted else "127.0.0.1"  # which the certificate does not name
        with opened(url.replace("127.0.0.1", host)) as transport, pytest.raises(NotSent, match="cannot connect"):
            transport.call("POST", "/x", SECRET, b"[]")
        assert theeye.calls == []
        if trusted:
            with opened(url) as transport:
                assert [transport.call("GET", "/x").status for _ in range(3)] == [404] * 3
            assert connections(theeye) == [1, 1, 1], "and its connection is used again"


# -- many at once -----------------------------------------------------------------------------------------------------


def test_200_threads_each_get_their_own_answer(theeye: StandIn) -> None:
    start = threading.Barrier(200)

    def ask(transport: Transport, number: int) -> bool:
        start.wait(30)
        return all(
            f"/{number}/{turn} not".encode() in transport.call("GET", f"/{number}/{turn}").body for turn in "abc"
        )

    with opened(theeye.url, connect_timeout=60, call_timeout=60) as transport, ThreadPoolExecutor(200) as pool:
        assert all(pool.map(partial(ask, transport), range(200)))
        assert transport._free.qsize() == module.CONNECTIONS, "all connections are free again"
    assert len(theeye.calls) == 600
    assert len(set(connections(theeye))) <= 200


def test_a_call_that_fails_gives_its_slot_back(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTIONS", 1)
    with opened(theeye.url) as transport:
        for path in ("/x", "/\xf1"):
            theeye.fault("any", CloseBefore(), times=1)
            with pytest.raises((AnswerLost, NotSent)):
                transport.call("GET", path)
            theeye.heal()
            assert transport.call("GET", "/y", timeout=20).status == 404


def test_interim_answers_are_passed_over(theeye: StandIn) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    theeye.fault("profile", Verbatim(interim + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), times=1)
    with opened(theeye.url) as transport:
        reply = transport.call("GET", "/api/session/profile", ACME)
    assert (reply.status, reply.body) == (200, b"{}")
