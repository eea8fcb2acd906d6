"""Test names and addresses: every address is tried, and a resolver that hangs delays as little as possible."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from support.processes import free_port, full_listener, run_python
from support.theeye import StandIn
from support.transport import opened

from app.theeye import addresses as module
from app.theeye.addresses import Addresses
from app.theeye.transport import NotSent, Transport

AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def addresses(*ports: int) -> list[tuple[Any, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]


class Resolver:
    """Replace socket.getaddrinfo; the test decides what it returns, and when."""

    def __init__(self) -> None:
        self.answer: list[tuple[Any, ...]] | Exception = []
        self.calls = 0
        self.free = threading.Event()  # cleared: it hangs
        self.free.set()

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.calls += 1
        self.free.wait(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def resolver(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """Replace the system's resolver; this one knows `theeye`, and stops hanging when the test ends."""
    resolver = Resolver()
    resolver.answer = addresses(theeye.port)
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(module, "HANG_SECONDS", 0.1)
    yield resolver
    resolver.free.set()


@pytest.fixture
def transport(resolver: Resolver) -> Iterator[Transport]:
    with opened() as transport:
        yield transport


# -- every address ----------------------------------------------------------------------------------------------------


def test_a_black_hole_does_not_hide_the_next_address(theeye: StandIn, resolver: Resolver) -> None:
    with opened(connect_timeout=2.0) as transport:
        with full_listener() as hole:
            resolver.answer = addresses(hole, theeye.port)
            assert transport.call("GET", "/x").status == 404
        transport.close()
        with StandIn(port=hole) as late:
            assert transport.call("GET", "/y").status == 404
            assert late.calls == [], "the address that worked comes first"


def test_every_address_is_tried(theeye: StandIn, resolver: Resolver) -> None:
    with full_listener() as hole, opened(connect_timeout=2.0) as transport:
        resolver.answer = addresses(free_port(), hole, free_port(), theeye.port)
        assert transport.call("GET", "/x").status == 404


def test_several_addresses_share_one_deadline(resolver: Resolver) -> None:
    with full_listener() as hole, opened(connect_timeout=0.3) as transport:
        resolver.answer = addresses(*[hole] * 30)
        began = time.monotonic()
        with pytest.raises(NotSent, match="timed out"):
            transport.call("GET", "/x")
        assert 0.25 < time.monotonic() - began < 6, "30 times as long would be 9 s"


def test_an_address_that_worked_and_is_gone_is_left(theeye: StandIn, resolver: Resolver, transport: Transport) -> None:
    with StandIn() as first:
        resolver.answer = addresses(first.port, theeye.port)
        transport.call("GET", "/x")
        first.stop()
        assert transport.call("GET", "/y").status == 404
        first.start()
        transport.close()
        transport.call("GET", "/z")
    assert [call.path for call in theeye.calls] == ["/y", "/z"]


@pytest.mark.parametrize("answer", [[], UNKNOWN, AGAIN])
def test_no_address_is_not_sent(answer: Any, resolver: Resolver, transport: Transport) -> None:
    resolver.answer = answer
    with pytest.raises(NotSent, match="cannot connect"):
        transport.call("POST", "/x", body=b"[]")


# -- a resolver that hangs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("connect_timeout", "call_timeout"), [(30.0, 0.2), (0.2, 30.0)])
def test_a_hanging_resolver_ends_with_the_call(connect_timeout: float, call_timeout: float, resolver: Resolver) -> None:
    resolver.free.clear()
    with opened(connect_timeout=connect_timeout, call_timeout=call_timeout) as transport:
        began = time.monotonic()
        with pytest.raises(NotSent, match="timed out"):
            transport.call("POST", "/x", body=b"[]")
        assert time.monotonic() - began < 15


def test_known_names_go_on_while_the_resolver_hangs(theeye: StandIn, resolver: Resolver, transport: Transport) -> None:
    """When the resolver answers again, its answer is used."""
    transport.call("GET", "/x")
    resolver.free.clear()
    for _ in range(3):
        transport.close()
        assert transport.call("GET", "/y").status == 404
    assert resolver.calls == 2, "the calls share one lookup"
    with StandIn() as new:
        resolver.answer = addresses(new.port)
        resolver.free.set()
        [(_, lookup)] = transport._addresses._lookups
        assert lookup.result(10) == resolver.answer
        transport.close()
        transport.call("GET", "/z")
        assert [call.path for call in new.calls] == ["/z"]
    assert [call.path for call in theeye.calls] == ["/x", "/y", "/y", "/y"]


@pytest.mark.parametrize(("answer", "goes_on"), [(AGAIN, True), (UNKNOWN, False)])
def test_a_known_names_lookup_fails(
    answer: Exception, goes_on: bool, resolver: Resolver, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that is down does not deny the name; one that denies it does."""
    monkeypatch.setattr(module, "HANG_SECONDS", 30.0)  # it does not hang, although its thread may be late
    transport.call("GET", "/x")
    transport.close()
    resolver.answer = answer
    with nullcontext() if goes_on else pytest.raises(NotSent, match="Name or service not known"):
        assert transport.call("GET", "/y").status == 404


def test_connections_share_a_lookup(resolver: Resolver, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH_SECONDS", 60.0)
    for _ in range(3):
        transport.call("GET", "/x")
        transport.close()
    assert resolver.calls == 1


def test_threads_that_hang_are_few(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.0)
    resolver.free.clear()
    name = Addresses("theeye.example", 80)
    for _ in range(3 * module.LOOKUPS):
        with pytest.raises(TimeoutError):
            name.resolve(time.monotonic() + 0.01)
    assert resolver.calls == module.LOOKUPS
    resolver.free.set()
    assert name.resolve(time.monotonic() + 10) == resolver.answer, "those that hang end, and others may start"


HANGING = """
import sys
from gevent import monkey; monkey.patch_all()
import _socket, gevent, socket, time
from app.theeye.transport import NotSent, Transport
real, hang = _socket.getaddrinfo, monkey.get_original("time", "sleep")
def resolve(host, *rest, **more):
    if host == "hangs.example":
        hang(60)
    return real(host, *rest, **more)
_socket.getaddrinfo = resolve  # gevent asks it in a thread of its own
port = sys.argv[1]
hanging = Transport(f"http://hangs.example:{port}", 30, 0.5, 1000)
def fail():
    try:
        hanging.call("GET", "/x")
    except NotSent as error:
        return str(error)
failing = [gevent.spawn(fail) for _ in range(20)]
gevent.sleep(0)
print(Transport(f"http://localhost:{port}", 10, 10, 1000).call("GET", "/y").status)
print({greenlet.get(timeout=20) for greenlet in failing})
sys.stdout.flush()
"""


def test_under_gevent_a_resolver_that_hangs_stops_no_other_call(theeye: StandIn) -> None:
    pytest.importorskip("gevent")
    ran = run_python("-c", HANGING, str(theeye.port))
    assert (ran.stdout, ran.stderr) == ("404\n{'cannot connect: timed out'}\n", "")


def test_without_a_thread_known_addresses_are_used(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with socket.create_server(("127.0.0.1", 0)) as listener, monkeypatch.context() as no_threads:
        port = listener.getsockname()[1]
        resolver.answer = addresses(port)
        known, unknown = Addresses("theeye.test", port), Addresses("theeye.test", port)
        known.connect(time.monotonic() + 5).close()
        no_threads.setattr(threading.Thread, "start", refuse)
        known.connect(time.monotonic() + 5).close()
        with pytest.raises(socket.gaierror, match="no thread"):
            unknown.connect(time.monotonic() + 5)


def test_a_resolver_that_crashes_is_asked_again(resolver: Resolver) -> None:
    right, resolver.answer = resolver.answer, RuntimeError("a bug")
    name = Addresses("theeye.example", 1)
    with pytest.raises(OSError, match="the resolver failed: RuntimeError"):
        name.resolve(time.monotonic() + 30)
    resolver.answer = right
    assert name.resolve(time.monotonic() + 30) == right
