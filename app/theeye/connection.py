"""Send requests and read HTTP answers on a connection, with one absolute deadline for all operations.

A socket's own timeout applies to a single wait, and restarts with every byte that arrives; under gevent also inside a
TLS handshake or a TLS record. So the sockets here never block, and each wait ends at the deadline.
"""

import io
import select
import socket
import ssl
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any, TypeVar, cast

from app.theeye.addresses import Addresses, seconds_left
from app.theeye.endpoint import Endpoint

PIECE = 65536  # bytes of one call of `send`; the deadline is checked before each

Result = TypeVar("Result")


class Connection(io.RawIOBase):
    """Send requests and read their answers; set `deadline` (`time.monotonic`) before each request."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """Take a connected, non-blocking socket."""
        self.deadline = deadline
        self.idle_since = 0.0
        self.ends_answer = False  # whether the body of the answer ends with the connection
        self._sock = sock
        self._incoming = _Incoming(self)

    def tunnel(self, endpoint: Endpoint) -> None:
        """Ask the proxy for a connection to the server (CONNECT: RFC 9110, 9.3.6). Raise OSError or HTTPException."""
        head = f"CONNECT {endpoint.host_port} HTTP/1.1\r\nHost: {endpoint.host_port}\r\n"
        if endpoint.proxy and endpoint.proxy.authorization:
            head += f"Proxy-Authorization: {endpoint.proxy.authorization}\r\n"
        self.send(f"{head}\r\n".encode("ascii"))
        status = self.read_response("CONNECT").status
        if not 200 <= status < 300:
            raise TunnelRefused(f"the proxy refused to connect, with status {status}", status)

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Make the TLS handshake. Raise OSError, or ValueError for a host name that TLS does not accept."""
        self._sock = context.wrap_socket(self._sock, server_hostname=host, do_handshake_on_connect=False)
        self._until_done(select.POLLIN, self._sock.do_handshake)
        self._incoming = _Incoming(self)  # bytes before TLS are not from the server

    def send(self, data: bytes) -> None:
        """Send all data. Raise OSError."""
        rest = memoryview(data)
        while rest:
            seconds_left(self.deadline)
            sent = self._until_done(select.POLLOUT, self._sock.send, rest[:PIECE])
            if not sent:  # gevent's TLS sockets return 0 instead of raising
                self._wait(select.POLLOUT)
            rest = rest[sent:]

    def read_response(self, method: str) -> HTTPResponse:
        """Read the head of the final answer; skip interim answers (RFC 9110, 15.2). Raise OSError or HTTPException."""
        self.ends_answer = False
        while True:
            response = HTTPResponse(cast(socket.socket, self), method=method)
            response.begin()
            if response.status >= 200:
                self.ends_answer = response.length is None and not response.chunked
                return response

    def is_quiet(self) -> bool:
        """Return whether nothing has arrived since the last answer, not even the end of the connection."""
        self.deadline = 0.0  # `peek` then returns only bytes that were read from the socket already
        if self._incoming.peek(1):
            return False
        try:
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()
        super().close()

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the file from which HTTPResponse reads an answer."""
        return self._incoming

    def readable(self) -> bool:
        """Return True, as io.BufferedReader needs it."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read the bytes that have arrived, or wait for some. Raise OSError, also if the answer is cut off."""
        if not self.deadline:  # `is_quiet` neither reads nor waits
            return None
        seconds_left(self.deadline)
        count = self._until_done(select.POLLIN, self._sock.recv_into, buffer)
        if not count and not self.ends_answer:
            raise ConnectionError("the connection was closed before the end of the answer")
        return count

    def _until_done(self, event: int, operation: Callable[..., Result], *arguments: Any) -> Result:
        """Return the result of a non-blocking operation; wait for `event`, or for what TLS needs, and try again."""
        while True:
            try:
                return operation(*arguments)
            except BlockingIOError:
                self._wait(event)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._sock, event)
        if not poll.poll(seconds_left(self.deadline) * 1000):
            raise TimeoutError("timed out")


class _Incoming(io.BufferedReader):
    """Buffer the answers of one connection, in the form that http.client needs."""

    def close(self) -> None:
        """Do nothing: http.client closes after each answer, but the connection is kept."""

    def flush(self) -> None:
        """Do nothing: http.client flushes also after the connection was closed."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read `size` bytes. Raise ValueError for a negative size, which http.client accepts in a chunk's head."""
        if size is None or size < 0:
            raise ValueError("a chunk of negative size")
        return super().read(size)


class TunnelRefused(OSError):
    """Report a proxy that refused to connect; `status` is the status of its answer."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


def connect(endpoint: Endpoint, addresses: Addresses, until: float) -> Connection:
    """Return a connection to the server, through its proxy. Raise OSError, HTTPException or ValueError."""
    connection = Connection(addresses.connect(until), until)
    try:
        if endpoint.tls is not None:
            if endpoint.proxy is not None:
                connection.tunnel(endpoint)
            connection.secure(endpoint.tls, endpoint.host)
    except BaseException:
        connection.close()
        raise
    return connection
