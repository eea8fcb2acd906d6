"""One HTTP/1.1 answer read from a socket (RFC 9112): the status, the body, and whether the connection may stay.

http.client hands every header to the email package, which costs more than the whole rest of a call; TheEye's calls
need three headers.
"""

import re
import socket
from collections.abc import Callable

HEAD = 65536  # bytes of the longest status line and headers
FIELDS = 100  # the most headers

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?=[ \r\n])")
_FRAMING = re.compile(rb"\n(content-length|transfer-encoding|connection)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_NO_BODY = frozenset({204, 304})


class TooLarge(ValueError):
    """The body is larger than the limit."""


class Answer:
    """Reads one answer; every receive may take what is left until the deadline."""

    __slots__ = ("_buffer", "_limit", "_most", "_sock", "keep", "status")

    def __init__(self, sock: socket.socket, limit: Callable[[], None], most: int) -> None:
        """`limit` lets the next receive wait until the deadline, or raises TimeoutError; `most`: bytes of the body."""
        self.status = 0
        self.keep = False
        self._sock = sock
        self._limit = limit
        self._most = most
        self._buffer = b""

    def read(self) -> bytes:
        """The whole body. Raises OSError, TooLarge, or ValueError for what is no answer or was cut off."""
        version, fields = self._head()
        while self.status < 200:  # 100 and 103 (RFC 8297) come before the answer itself
            version, fields = self._head()
        body, framed = self._body(fields)
        options = {option.strip() for option in fields.get(b"connection", b"").lower().split(b",")}
        stays = b"close" not in options if version > 0 else b"keep-alive" in options
        self.keep = framed and stays and not self._buffer
        return body

    def _head(self) -> tuple[int, dict[bytes, bytes]]:
        """HTTP's minor version and the fields that say where the answer ends."""
        while (end := _HEAD_END.search(self._buffer)) is None and len(self._buffer) <= HEAD:
            self._receive("headers")
        if end is None or end.start() > HEAD:
            raise ValueError("headers without end")
        head, self._buffer = self._buffer[: end.start() + 1], self._buffer[end.end() :]
        if head.count(b"\n") > FIELDS + 1:
            raise ValueError("too many headers")
        status = _STATUS.match(head)
        if status is None:
            raise ValueError("no HTTP answer")
        self.status = int(status[2])
        fields: dict[bytes, bytes] = {}
        for field in _FRAMING.finditer(head):
            name, value = field[1].lower(), field[2].strip()
            known = fields.get(name)
            fields[name] = value if known is None else known + b"," + value
        return int(status[1]), fields

    def _body(self, fields: dict[bytes, bytes]) -> tuple[bytes, bool]:
        """The body, and whether its end was known without the connection's."""
        if self.status in _NO_BODY:
            return b"", True
        coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
        if coding is not None:
            if coding.lower() != b"chunked":
                raise ValueError("an unknown transfer coding")
            return self._chunks(), True
        if length is None:
            return self._until_end(), False
        sizes = {size.strip() for size in length.split(b",")}
        size = sizes.pop()
        if sizes or not size.isdigit():
            raise ValueError("an unreadable length")
        if len(size) > 18 or int(size) > self._most:
            raise TooLarge
        return self._take(int(size)), True

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > self._most:
                raise TooLarge
            body += self._take(size)
            if self._line():
                raise ValueError("a chunk that is longer than it says")
        while self._line():  # trailers
            pass
        return bytes(body)

    def _chunk_size(self) -> int:
        digits = self._line().partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", digits):
            raise ValueError("an unreadable chunk")
        return int(digits, 16)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > HEAD:
                raise ValueError("a line without end")
            self._receive("chunks")
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line.removesuffix(b"\r")

    def _take(self, size: int) -> bytes:
        """So many bytes."""
        have = len(self._buffer)
        if have >= size:
            taken, self._buffer = self._buffer[:size], self._buffer[size:]
            return taken
        body = bytearray(size)
        body[:have], self._buffer = self._buffer, b""
        with memoryview(body) as view:
            while have < size:
                self._limit()
                count = self._sock.recv_into(view[have:])
                if not count:
                    raise ValueError("cut off in its body")
                have += count
        return bytes(body)

    def _until_end(self) -> bytes:
        body = bytearray(self._buffer)
        self._buffer = b""
        while True:
            if len(body) > self._most:
                raise TooLarge
            self._limit()
            piece = self._sock.recv(HEAD)
            if not piece:
                return bytes(body)
            body += piece

    def _receive(self, where: str) -> None:
        self._limit()
        piece = self._sock.recv(HEAD)
        if not piece:
            raise ValueError(f"cut off in its {where}" if self._buffer else "the connection was closed")
        self._buffer += piece
