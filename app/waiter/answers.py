"""Limit the bytes of the answers that are being sent: a client that reads slowly keeps its answer in memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import TooBusy


class Answers:
    """Limit the answers of this process to SYNC_MAX_ANSWER_BYTES plus one answer."""

    def __init__(self, most: int) -> None:
        """Start empty; above `most` bytes no further answer begins."""
        self._lock = threading.Lock()
        self._most = most
        self._bytes = 0

    def admit(self) -> None:
        """Raise TooBusy if the answer to a new request could not be sent now."""
        if self._bytes >= self._most:
            raise TooBusy("Clients read too many answers too slowly, nothing was started")

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Count an answer of `size` bytes until it is sent. Raise TooBusy if the limit is reached."""
        with self._lock:
            self.admit()
            self._bytes += size
        try:
            yield
        finally:
            with self._lock:
                self._bytes -= size
