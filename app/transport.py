"""HTTP/1.1 calls to one upstream over kept-alive connections: the hot path, twice in every request.

http.client reads the answers; the rest of it, and the layers above it, cost several times what a call does.
What is added here: one deadline for the whole call, however slowly the answer drips; a limit on the answer's
size; and the difference between a call that was never sent and one whose answer was lost.
"""

import http.client
import io
import socket
import ssl
import threading
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

IDLE_SECONDS = 3.0  # below the 5 s after which Node, TheEye's server, closes an idle connection
CONNECTIONS = 256


class TransportError(Exception):
    """A call that brought no answer; the message names no token and no query."""


class NotSent(TransportError):
    """Not a byte of the request has left: it cannot have had an effect."""


class AnswerLost(TransportError):
    """The request was sent, at least in part; what became of it is unknown."""


class AnswerTooLarge(AnswerLost):
    """The answer is larger than the limit."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes


class _Reader(io.RawIOBase):
    """Reads a socket against one absolute deadline instead of a timeout for each read."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.ended = False
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        count = self._sock.recv_into(buffer)
        self.ended = count == 0
        return count


class _Source:
    """The one method that http.client.HTTPResponse wants of a socket."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.reader = _Reader(sock, deadline)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.reader)


class Transport:
    """Calls to one base URL; safe to share between threads and greenlets."""

    def __init__(self, base_url: str, connect_timeout: float, call_timeout: float, max_answer: int) -> None:
        """Connects to nothing yet."""
        url = urlsplit(base_url)
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._host = url.hostname or ""
        self._port = url.port or (443 if self._tls else 80)
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._max_answer = max_answer
        self._path = url.path
        self._common = f"Host: {url.netloc}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
        self._idle: deque[tuple[socket.socket, float]] = deque()
        self._free = threading.BoundedSemaphore(CONNECTIONS)

    def call(
        self, method: str, path: str, token: str | None = None, body: bytes | None = None, timeout: float | None = None
    ) -> Reply:
        """One call, ended by the call timeout or an earlier one. Raises NotSent, AnswerLost, AnswerTooLarge."""
        deadline = monotonic() + min(self._call_timeout, timeout or self._call_timeout)
        if not self._free.acquire(timeout=_left(deadline, 0.001)):
            raise NotSent("all connections are busy")
        try:
            return self._exchange(method, self._request(method, path, token, body), deadline)
        finally:
            self._free.release()

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop()[0].close()

    def _request(self, method: str, path: str, token: str | None, body: bytes | None) -> bytes:
        lines = f"{method} {self._path}{path} HTTP/1.1\r\n{self._common}"
        if token is not None:
            lines += f"Authorization: Bearer {token}\r\n"
        if body is not None:
            lines += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        elif method != "GET":
            lines += "Content-Length: 0\r\n"
        return f"{lines}\r\n".encode("ascii") + (body or b"")

    def _exchange(self, method: str, request: bytes, deadline: float) -> Reply:
        sock = self._reusable() or self._connect(deadline)
        keep = False
        try:
            sock.settimeout(_left(deadline, 0.001))
            sock.sendall(request)
            source = _Source(sock, deadline)
            with http.client.HTTPResponse(source, method=method) as response:  # type: ignore[arg-type]
                response.begin()
                while response.status < 200:  # http.client passes over 100 only, and not over 103 (RFC 8297)
                    response.headers = response.msg = None  # type: ignore[assignment]
                    response.begin()
                if source.reader.ended:  # http.client takes headers that are cut off for whole ones
                    raise AnswerLost("the answer was cut off in its headers")
                reply = Reply(response.status, self._read(response))
                keep = not response.will_close
            return reply
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AnswerLost(_reason(error)) from None
        finally:
            if keep:
                self._close_forgotten()
                self._idle.append((sock, monotonic()))
            else:
                sock.close()

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        if response.length is not None:
            if response.length > self._max_answer:
                raise AnswerTooLarge(f"the answer has more than {self._max_answer} bytes")
            return response.read()
        body = response.read(self._max_answer + 1)
        if len(body) > self._max_answer:
            raise AnswerTooLarge(f"the answer has more than {self._max_answer} bytes")
        return body

    def _reusable(self) -> socket.socket | None:
        """The connection used last, if it has not been idle for long and the other side has not closed it."""
        oldest = monotonic() - IDLE_SECONDS
        while True:
            try:
                sock, since = self._idle.pop()
            except IndexError:
                return None
            if since > oldest and _is_quiet(sock):
                return sock
            sock.close()

    def _close_forgotten(self) -> None:
        """Closes what has been idle for too long: the surplus of a burst, which nobody takes out again."""
        oldest = monotonic() - IDLE_SECONDS
        while True:
            try:
                sock, since = self._idle.popleft()
            except IndexError:
                return
            if since > oldest:
                self._idle.appendleft((sock, since))
                return
            sock.close()

    def _connect(self, deadline: float) -> socket.socket:
        until = min(deadline, monotonic() + self._connect_timeout)
        try:
            sock = self._open(until)
        except (OSError, UnicodeError) as error:
            raise NotSent(f"cannot connect: {_reason(error)}") from None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(_left(until))
            return self._tls.wrap_socket(sock, server_hostname=self._host) if self._tls else sock
        except (OSError, ValueError) as error:
            sock.close()
            raise NotSent(f"cannot connect: {_reason(error)}") from None

    def _open(self, deadline: float) -> socket.socket:
        """Tries the host's addresses in turn, all within the one deadline. Raises OSError."""
        failed: OSError = OSError(f"{self._host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(_left(deadline))
                sock.connect(address)
                return sock
            except OSError as error:
                sock.close()
                failed = error
        raise failed


def _left(deadline: float, least: float | None = None) -> float:
    """Seconds until the deadline. Raises TimeoutError when it has passed and there is no least."""
    left = deadline - monotonic()
    if left > 0:
        return left
    if least is None:
        raise TimeoutError("timed out")
    return least


def _is_quiet(sock: socket.socket) -> bool:
    """Whether nothing, not even an end, has arrived on an idle connection."""
    try:
        sock.settimeout(0)
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        pass
    return False


def _reason(error: Exception) -> str:
    """An error in few words, with nothing of the request in it."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
