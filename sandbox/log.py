"""Keep a bounded part of a script's log."""

MAX_LOG = 16 * 1024 * 1024


class Log:
    """Keep the first and the last `limit` / 2 bytes: the last line decides how the job ended."""

    def __init__(self, limit: int = MAX_LOG) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def add(self, data: bytes) -> None:
        """Append what the script wrote."""
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        # Cut at twice the size only: each cut moves the whole tail.
        if len(self._tail) > 2 * self._half:
            self._cut()

    def text(self) -> str:
        """Return the log as text; bytes that are not UTF-8 are replaced."""
        self._cut()
        notice = f"\n[the sandbox left out {self._left_out} bytes here]\n" if self._left_out else ""
        return b"".join([self._head, notice.encode(), self._tail]).decode("utf-8", "replace")

    def _cut(self) -> None:
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self._left_out += excess
