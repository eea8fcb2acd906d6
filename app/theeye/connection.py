"""Read HTTP answers from a connection, with one absolute deadline for whatever is done on it.

A socket's own timeout is for one wait only, and starts again with every byte that arrives; under gevent this holds
inside of a TLS handshake and a TLS record too. So the sockets here never block, and each wait ends at the deadline.
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

PIECE = 65536  # bytes given to the socket at once: between two of them the deadline is looked at

Result = TypeVar("Result")


class Connection(io.RawIOBase):
    """Send requests and read their answers; `deadline`, on time.monotonic's clock, is to be set before each."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """Take over a connected socket that does not block."""
        self.deadline = deadline
        self.idle_since = 0.0
        self.ends_answer = False  # whether the end of the connection is the end of the answer's body
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
        """Begin TLS. Raise OSError, or ValueError for a host name that TLS does not take."""
        self._sock = context.wrap_socket(self._sock, server_hostname=host, do_handshake_on_connect=False)
        self._until_done(select.POLLIN, self._sock.do_handshake)
        self._incoming = _Incoming(self)  # what came before TLS is not the server's

    def send(self, data: bytes) -> None:
        """Send all of it. Raise OSError."""
        rest = memoryview(data)
        while rest:
            seconds_left(self.deadline)
            sent = self._until_done(select.POLLOUT, self._sock.send, rest[:PIECE])
            if not sent:  # gevent's TLS sockets return 0 where others raise
                self._wait(select.POLLOUT)
            rest = rest[sent:]

    def read_response(self, method: str) -> HTTPResponse:
        """Read the head of the final answer, skip interim ones (RFC 9110, 15.2). Raise OSError or HTTPException."""
        self.ends_answer = False
        while True:
            response = HTTPResponse(cast(socket.socket, self), method=method)
            response.begin()
            if response.status >= 200:
                self.ends_answer = response.length is None and not response.chunked
                return response

    def is_quiet(self) -> bool:
        """Return whether nothing has arrived since the last answer, not even the connection's end."""
        self.deadline = 0.0  # only what has been read from the socket already is looked at
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
        """Return what HTTPResponse reads an answer from."""
        return self._incoming

    def readable(self) -> bool:
        """Return True, as io.BufferedReader asks for it."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has arrived, or wait for it. Raise OSError, also where the answer is cut off."""
        if not self.deadline:  # `is_quiet` looks, and neither reads nor waits
            return None
        seconds_left(self.deadline)
        count = self._until_done(select.POLLIN, self._sock.recv_into, buffer)
        if not count and not self.ends_answer:
            raise ConnectionError("the connection was closed before the end of the answer")
        return count

    def _until_done(self, event: int, operation: Callable[..., Result], *arguments: Any) -> Result:
        """Return the result of a non-blocking operation, tried again after each wait for `event` or what TLS needs."""
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
    """Read the answers of one connection, one after the other, as http.client wants to."""

    def close(self) -> None:
        """Do nothing: http.client calls it after each answer, and the connection stays."""

    def flush(self) -> None:
        """Do nothing: http.client calls it also when the connection has been closed."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes. Raise ValueError for fewer than none, which http.client takes from a chunk's head."""
        if size is None or size < 0:
            raise ValueError("a chunk of negative size")
        return super().read(size)


class TunnelRefused(OSError):
    """Report a proxy that refused to connect; `status` is that of its answer."""

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
