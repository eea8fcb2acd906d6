"""Count the bytes of the answers that are being sent: a client that reads slowly keeps its answer in memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import TooBusy


class Answers:
    """Bound the answers of this process by SYNC_MAX_ANSWER_BYTES and one answer more."""

    def __init__(self, most: int) -> None:
        """Hold nothing yet; `most`: bytes above which no further answer is begun."""
        self._lock = threading.Lock()
        self._most = most
        self._bytes = 0

    def admit(self) -> None:
        """Let a request in. Raise TooBusy while its answer could not be sent."""
        if self._bytes >= self._most:
            raise TooBusy("Clients read too many answers too slowly, nothing was started")

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Count an answer of so many bytes until it is sent. Raise TooBusy where there is no room for it."""
        with self._lock:
            self.admit()
            self._bytes += size
        try:
            yield
        finally:
            with self._lock:
                self._bytes -= size
