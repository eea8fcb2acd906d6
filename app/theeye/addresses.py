"""Resolve the name of one host in a thread, since the system's resolver has no timeout, and connect to it."""

import socket
import threading
from concurrent.futures import Future
from time import monotonic
from typing import Any

from app.theeye.keepalive import keep_alive

FRESH_SECONDS = 1.0  # an answer of the resolver is used for this time, by connections opened together
HANG_SECONDS = 1.0  # wait at most so long for the resolver if addresses are known
LOOKUP_SECONDS = 30.0  # after this time a lookup counts as hung, and another one may start
LOOKUPS = 3  # so many threads may hang in the resolver at once; gevent has 10 of them for all names

Address = tuple[Any, ...]  # an item of socket.getaddrinfo


class Addresses:
    """Connect to one host; while the resolver hangs or fails, use the last known addresses."""

    def __init__(self, host: str, port: int) -> None:
        """Resolve nothing yet."""
        self._host = host
        self._port = port
        self._lock = threading.Lock()
        self._lookups: list[tuple[float, Future[list[Address]]]] = []  # each with its start
        self._known: list[Address] = []
        self._fresh_until = float("-inf")
        self._worked: Address | None = None

    def connect(self, until: float) -> socket.socket:
        """Return a non-blocking socket, connected to the first address that accepts. Raise OSError or UnicodeError.

        Each address gets an equal share of the time left, so that one that drops all packets leaves time for the next.
        The address that worked last comes first.
        """
        failure = OSError(f"{self._host} has no address")
        addresses = sorted(self.resolve(until), key=lambda address: address != self._worked)
        for tried, address in enumerate(addresses):
            try:
                sock = _connect(address, seconds_left(until) / (len(addresses) - tried))
            except OSError as error:
                failure = error
            else:
                self._worked = address
                return sock
        raise failure

    def resolve(self, until: float) -> list[Address]:
        """Return the host's addresses. Raise OSError (socket.gaierror, TimeoutError) or UnicodeError."""
        if monotonic() < self._fresh_until:
            return self._known
        began, lookup = self._lookup()
        seconds = seconds_left(until)
        if self._known:
            seconds = min(seconds, max(began + HANG_SECONDS - monotonic(), 0))
        try:
            return lookup.result(seconds)
        except OSError as error:
            if self._known and (isinstance(error, TimeoutError) or error.errno == socket.EAI_AGAIN):
                return self._known
            raise

    def _lookup(self) -> tuple[float, Future[list[Address]]]:
        """Return the running lookup, or start one."""
        with self._lock:
            self._lookups = [(began, lookup) for began, lookup in self._lookups if not lookup.done()]
            late = all(began < monotonic() - LOOKUP_SECONDS for began, _ in self._lookups)
            if late and len(self._lookups) < LOOKUPS:
                lookup: Future[list[Address]] = Future()
                self._lookups.append((monotonic(), lookup))
                try:
                    threading.Thread(target=self._ask, args=(lookup,), name="resolver", daemon=True).start()
                except RuntimeError:  # the process may have no more threads; known addresses go on
                    lookup.set_exception(socket.gaierror(socket.EAI_AGAIN, "no thread for the resolver"))
            return self._lookups[-1]

    def _ask(self, lookup: Future[list[Address]]) -> None:
        try:
            addresses = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            lookup.set_exception(error)
        except Exception as error:  # noqa: BLE001 - a lookup that never ends would keep others from starting
            lookup.set_exception(OSError(f"the resolver failed: {type(error).__name__}"))
        else:
            self._known, self._fresh_until = addresses, monotonic() + FRESH_SECONDS
            lookup.set_result(addresses)


def _connect(address: Address, seconds: float) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(seconds)
        sock.connect(where)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_alive(sock)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def seconds_left(deadline: float) -> float:
    """Return the seconds until a deadline (`time.monotonic`). Raise TimeoutError if it has passed."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
