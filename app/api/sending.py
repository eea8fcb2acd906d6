"""Send each answer in pieces, and hold what it takes, a slot and memory, until the client has it.

A client that does not read would keep its answer in memory for ever: gunicorn sends without a timeout.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from app.telemetry.wsgi import Wsgi

HELD = "theeye_sync.held"  # the name of an answer's Held in the WSGI environ
PIECE = 64 << 10  # bytes; `sendall` counts its timeout for all that it is given
PIECE_SECONDS = 30.0  # in which the client must take each piece: slow readers get their answer, idle ones are cut off
SLOW_WITHOUT_SLOT = 16  # answers of one piece that may be taken so slowly at once; they hold no slot
SECONDS_WITHOUT_SLOT = 1.0  # for the others of them: they would take all the threads that are there beside the slots


class Held(ExitStack):
    """Collect what an answer holds until it is sent."""

    slot = False  # whether one of the SYNC_MAX_WAITING slots is part of it

    def close_if_small(self, length: int | None) -> None:
        """Free what an answer of one piece holds: its client may ask again as soon as it has it, and need the slot."""
        if length is not None and length <= PIECE:
            self.close()
            self.slot = False


def held_until_sent(environ: dict[str, Any]) -> Held:
    """Return what will be closed once the answer is sent, or its client is cut off."""
    held: Held = environ[HELD]
    return held


class Sending:
    """Wrap a WSGI application; the timeout is set where the host shows the client's socket (gunicorn)."""

    def __init__(self, application: Wsgi) -> None:
        """Wrap an application."""
        self._application = application
        self._slow = threading.Semaphore(SLOW_WITHOUT_SLOT)

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
        """Return the seconds for each piece."""
        if not held.slot:
            if not self._slow.acquire(blocking=False):
                return SECONDS_WITHOUT_SLOT
            held.callback(self._slow.release)
        return PIECE_SECONDS


class _Pieces:
    """Give out an answer, and free what it holds after the last piece or when the host closes it (PEP 3333)."""

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
        """Free what is held, and leave the socket to the next request as it was."""
        try:
            if (close := getattr(self._parts, "close", None)) is not None:
                close()
        finally:
            self._held.close()
            if self._sock is not None:
                self._sock.settimeout(None)
