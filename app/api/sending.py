"""Send each answer in pieces, and keep its slot and its share of memory until it is sent.

Each piece has a timeout. gunicorn itself sends without one, so a client that does not read would keep its answer in
memory for ever.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from app.telemetry.wsgi import Wsgi

HELD = "theeye_sync.held"  # the key of an answer's Held in the WSGI environ
PIECE = 64 << 10  # bytes; the timeout of `sendall` covers all bytes of one call
PIECE_SECONDS = 30.0  # the timeout of each piece: it cuts off clients that stop reading, but not slow ones
SLOW_WITHOUT_SLOT = 16  # so many answers without a slot have that timeout at once
SECONDS_WITHOUT_SLOT = 1.0  # the timeout of other answers without a slot, which could block all spare threads


class Held:
    """Collect what has to be freed when an answer is sent. An ExitStack would take six calls for each."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.slot = False  # whether the answer holds one of the SYNC_MAX_WAITING slots
        self._to_free: list[Callable[[], object]] = []

    def add(self, free: Callable[..., object], *arguments: Any) -> None:
        """Call a function with these arguments at the end."""
        self._to_free.append(partial(free, *arguments))

    def close(self) -> None:
        """Free everything, the newest first, and the rest also if one of the functions raises."""
        try:
            while self._to_free:
                self._to_free.pop()()
        except BaseException:
            self.close()
            raise

    def close_if_small(self, length: int | None) -> None:
        """Free everything for an answer of one piece: its client may need the slot for its next request."""
        if length is not None and length <= PIECE:
            self.close()
            self.slot = False


def held_until_sent(environ: dict[str, Any]) -> Held:
    """Return the stack that is closed when the answer is sent, or its client is cut off."""
    held: Held = environ[HELD]
    return held


class Sending:
    """Wrap a WSGI application. The timeout needs the client's socket, which gunicorn shows."""

    def __init__(self, application: Wsgi) -> None:
        """Wrap an application."""
        self._application = application
        # A semaphore of the standard library is Python code, and under gevent each `release` would switch greenlets.
        self._slow: deque[None] = deque([None] * SLOW_WITHOUT_SLOT)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Return the application's answer in pieces."""
        held = environ[HELD] = Held()
        try:
            parts = self._application(environ, start_response)
        except BaseException:
            held.close()
            raise
        return _Pieces(parts, held, environ.get("gunicorn.socket"), self._seconds(held))

    def _seconds(self, held: Held) -> float:
        """Return the timeout of each piece."""
        if not held.slot:
            try:
                held.add(self._slow.append, self._slow.pop())
            except IndexError:
                return SECONDS_WITHOUT_SLOT
        return PIECE_SECONDS


class _Pieces:
    """Yield an answer in pieces; free what it holds after the last piece, or when the host closes it (PEP 3333)."""

    def __init__(self, parts: Iterable[bytes], held: Held, sock: socket.socket | None, seconds: float) -> None:
        self._parts = parts
        self._held = held
        self._sock = sock
        if sock is not None:
            sock.settimeout(seconds)

    def __iter__(self) -> Iterator[bytes]:
        try:
            for part in self._parts:
                if len(part) <= PIECE:
                    yield part
                else:
                    yield from (part[start : start + PIECE] for start in range(0, len(part), PIECE))
        finally:
            self._held.close()

    def close(self) -> None:
        """Free what the answer holds, and remove the socket's timeout for the next request."""
        try:
            if (close := getattr(self._parts, "close", None)) is not None:
                close()
        finally:
            self._held.close()
            if self._sock is not None:
                self._sock.settimeout(None)
