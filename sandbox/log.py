"""Keep a script's log, as far as TheEye could store it."""

MAX_DOCUMENT = 16 * 1024 * 1024  # bytes that MongoDB, in which TheEye keeps its jobs, stores in one document


class Log:
    """Keep the first `limit` bytes of a log, and count all of them."""

    def __init__(self, limit: int = MAX_DOCUMENT) -> None:
        self.size = 0
        self._limit = limit
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Append what the script wrote."""
        self._kept += data[: self._limit - len(self._kept)]
        self.size += len(data)

    def text(self) -> str:
        """Return what was kept as text; bytes that are not UTF-8 are replaced."""
        return self._kept.decode("utf-8", "replace")
