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
        pieces = [bytes(self._head), bytes(self._tail)]
        if self._left_out:
            pieces.insert(1, b"\n[the sandbox left out %d bytes here]\n" % self._left_out)
            # A part of a line is not to be taken for the last line, as if the script had printed plain words.
            if b"\n" not in self._tail[:-1]:
                pieces.append(b"\n[the last line is longer than %d bytes, so this job has no output]\n" % self._half)
        return b"".join(pieces).decode("utf-8", "replace")

    def _cut(self) -> None:
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self._left_out += excess
