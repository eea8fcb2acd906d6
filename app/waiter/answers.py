"""Limit the bytes of the answers that are being sent: a client that reads slowly keeps its answer in memory."""

import threading

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

    def count(self, size: int) -> None:
        """Count an answer of `size` bytes until the caller calls `sent`. Raise TooBusy if the limit is reached."""
        with self._lock:
            self.admit()
            self._bytes += size

    def sent(self, size: int) -> None:
        """Count an answer no longer."""
        with self._lock:
            self._bytes -= size
