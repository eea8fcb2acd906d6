"""Names and addresses: every address is tried, and a resolver that hangs holds up as little as can be."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.processes import CHECKOUT, clean_environment, free_port, full_listener
from support.theeye import StandIn

from app.theeye import addresses as module
from app.theeye.addresses import Addresses
from app.theeye.transport import NotSent, Transport

AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def address(port: int) -> tuple[Any, ...]:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))


class Resolver:
    """Stands in for socket.getaddrinfo; a test decides what it says, and when."""

    def __init__(self, *ports: int) -> None:
        self.answer: list[tuple[Any, ...]] | Exception = [address(port) for port in ports]
        self.calls = 0
        self.asked = threading.Semaphore(0)
        self.free = threading.Event()  # cleared: it hangs
        self.free.set()

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.calls += 1
        self.asked.release()
        self.free.wait(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch, *ports: int, fresh: float = 0.0) -> Iterator[Resolver]:
    """A resolver in place of the system's, which hangs no longer once the test is over."""
    resolver = Resolver(*ports)
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(module, "FRESH_SECONDS", fresh)
    monkeypatch.setattr(module, "HANG_SECONDS", 0.1)
    try:
        yield resolver
    finally:
        resolver.free.set()


@contextmanager
def opened(connect_timeout: float = 5.0, call_timeout: float = 10.0) -> Iterator[Transport]:
    transport = Transport("http://theeye.example", connect_timeout, call_timeout, 10_000)
    try:
        yield transport
    finally:
        transport.close()


# -- every address ----------------------------------------------------------------------------------------------------


def test_a_black_hole_does_not_hide_the_next_address(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(2.0) as transport:
        with full_listener() as hole, resolving(monkeypatch, hole, theeye.port):
            assert transport.call("GET", "/x").status == 404
        transport.close()
        with StandIn(port=hole) as late:
            assert transport.call("GET", "/y").status == 404
            assert late.calls == [], "the address that worked comes first"


def test_every_address_is_tried(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        full_listener() as hole,
        resolving(monkeypatch, free_port(), hole, free_port(), theeye.port),
        opened(2.0) as transport,
    ):
        assert transport.call("GET", "/x").status == 404


def test_several_addresses_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_listener() as hole, resolving(monkeypatch, *[hole] * 30), opened(0.3) as transport:
        began = time.monotonic()
        with pytest.raises(NotSent, match="timed out"):
            transport.call("GET", "/x")
        assert 0.25 < time.monotonic() - began < 6, "30 times as long would be 9 s"


def test_an_address_that_worked_and_is_gone_is_left(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn() as first, resolving(monkeypatch, first.port, theeye.port), opened() as transport:
        transport.call("GET", "/x")
        first.stop()
        assert transport.call("GET", "/y").status == 404
        first.start()
        transport.close()
        transport.call("GET", "/z")
    assert [call.path for call in theeye.calls] == ["/y", "/z"]


@pytest.mark.parametrize("answer", [[], UNKNOWN, AGAIN])
def test_no_address_is_not_sent(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with resolving(monkeypatch) as resolver, opened() as transport:
        resolver.answer = answer
        with pytest.raises(NotSent, match="cannot connect"):
            transport.call("POST", "/x", body=b"[]")


# -- a resolver that hangs --------------------------------------------------------------------------------------------


def test_a_resolver_that_hangs_does_not_outlast_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with resolving(monkeypatch, 1) as resolver:
        resolver.free.clear()
        for connect_timeout, call_timeout in ((30.0, 0.2), (0.2, 30.0)):
            with opened(connect_timeout, call_timeout) as transport:
                began = time.monotonic()
                with pytest.raises(NotSent, match="timed out"):
                    transport.call("POST", "/x", body=b"[]")
                assert time.monotonic() - began < 15


def test_a_name_that_is_known_is_called_while_the_resolver_hangs(
    theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with resolving(monkeypatch, theeye.port) as resolver, opened() as transport:
        transport.call("GET", "/x")
        resolver.free.clear()
        for _ in range(3):
            transport.close()
            assert transport.call("GET", "/y").status == 404
        assert resolver.calls == 2, "the calls share one lookup"


def test_a_resolver_that_answers_again_is_believed(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn() as old, resolving(monkeypatch, old.port) as resolver, opened() as transport:
        transport.call("GET", "/x")
        resolver.free.clear()
        transport.close()
        transport.call("GET", "/y")
        resolver.answer = [address(theeye.port)]
        resolver.free.set()
        [(_, lookup)] = transport._addresses._lookups
        assert lookup.result(10) == resolver.answer
        transport.close()
        transport.call("GET", "/z")
        assert [call.path for call in old.calls] == ["/x", "/y"]
    assert [call.path for call in theeye.calls] == ["/z"]


@pytest.mark.parametrize(("answer", "goes_on"), [(AGAIN, True), (UNKNOWN, False)])
def test_a_known_name_whose_lookup_fails(
    answer: Exception, goes_on: bool, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that is down says nothing about the name; one that denies the name does."""
    with resolving(monkeypatch, theeye.port) as resolver, opened() as transport:
        transport.call("GET", "/x")
        transport.close()
        resolver.answer = answer
        if goes_on:
            assert transport.call("GET", "/y").status == 404
        else:
            with pytest.raises(NotSent, match="Name or service not known"):
                transport.call("GET", "/y")


def test_connections_at_the_same_time_share_a_lookup(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with resolving(monkeypatch, theeye.port, fresh=60.0) as resolver, opened() as transport:
        for _ in range(3):
            transport.call("GET", "/x")
            transport.close()
        assert resolver.calls == 1


def test_threads_that_hang_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.0)
    with resolving(monkeypatch, 1) as resolver:
        resolver.free.clear()
        addresses = Addresses("theeye.example", 80)
        for _ in range(3 * module.LOOKUPS):
            with pytest.raises(TimeoutError):
                addresses.resolve(time.monotonic() + 0.01)
        assert resolver.calls == module.LOOKUPS
        resolver.free.set()
        assert addresses.resolve(time.monotonic() + 10) == [address(1)], "those that hang end, and others may start"


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
    ran = subprocess.run(
        [sys.executable, "-c", HANGING, str(theeye.port)],
        cwd=CHECKOUT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert (ran.stdout, ran.stderr) == ("404\n{'cannot connect: timed out'}\n", "")


def test_without_a_thread_for_the_resolver_known_addresses_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with resolving(monkeypatch, port), monkeypatch.context() as no_threads:
            known, unknown = Addresses("theeye.test", port), Addresses("theeye.test", port)
            known.connect(time.monotonic() + 5).close()
            no_threads.setattr(threading.Thread, "start", refuse)
            known.connect(time.monotonic() + 5).close()
            with pytest.raises(socket.gaierror, match="no thread"):
                unknown.connect(time.monotonic() + 5)


def test_a_resolver_that_crashes_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def crash(*_: object, **__: object) -> list[object]:
        raise RuntimeError("a bug")

    addresses = Addresses("127.0.0.1", 1)
    with monkeypatch.context() as broken:
        broken.setattr(socket, "getaddrinfo", crash)
        with pytest.raises(OSError, match="the resolver failed: RuntimeError"):
            addresses.resolve(time.monotonic() + 30)
    assert socket.getaddrinfo is real
    assert addresses.resolve(time.monotonic() + 30)
