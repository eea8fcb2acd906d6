"""Count the bytes of the bodies that requests hold until their job is created: they wait in memory for a slot."""

import threading

from app.errors import TooBusy

LARGEST = 16  # bodies of SYNC_MAX_BODY that one process may hold together
SMALL = 64 << 10  # bytes; smaller bodies are not counted, SYNC_MAX_WAITING bounds them


class Bodies:
    """Bound the bodies of this process; `max_body` is SYNC_MAX_BODY in bytes."""

    def __init__(self, max_body: int) -> None:
        """Start with no bodies."""
        self._lock = threading.Lock()
        self._most = LARGEST * max_body
        self._bytes = 0

    def change(self, size: int) -> None:
        """Count so many bytes more, or fewer. Raise TooBusy if that is too much."""
        with self._lock:
            if size > 0 and self._bytes + size > self._most:
                raise TooBusy("Too many large bodies are in memory, nothing was started")
            self._bytes += size


class HeldBody:
    """Count one body, while it arrives and until it is released."""

    def __init__(self, bodies: Bodies) -> None:
        """Start with an empty body."""
        self._bodies = bodies
        self._counted = 0

    def resize(self, size: int) -> None:
        """Count the body as one of `size` bytes from now on. Raise TooBusy."""
        counted = size if size > SMALL else 0
        if counted != self._counted:
            self._bodies.change(counted - self._counted)
            self._counted = counted

    def release(self) -> None:
        """Count the body no longer."""
        if self._counted:
            self.resize(0)
