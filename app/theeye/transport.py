"""HTTP/1.1 calls to one upstream over kept-alive connections: the hot path, twice in every request.

What libraries do beyond that costs several times what a call does. What is done here: one deadline for the whole
call, however slowly the answer drips; a limit on the answer's size; and the difference between a call that was
never sent and one whose answer was lost.
"""

import socket
import ssl
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from app.theeye.answer import Answer, TooLarge
from app.theeye.connections import Connection, Places, seconds_left

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


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes


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
        self._idle: deque[Connection] = deque()
        self._places = Places(CONNECTIONS)

    def call(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Make one call, ended by the call timeout or an earlier one. Raise NotSent, AnswerLost or AnswerTooLarge."""
        deadline = monotonic() + min(self._call_timeout, timeout or self._call_timeout)
        if not self._places.take(deadline):
            raise NotSent("all connections are busy")
        try:
            return self._exchange(self._request(method, path, headers, body), deadline)
        finally:
            self._places.give_back()

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _request(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | None) -> bytes:
        lines = f"{method} {self._path}{path} HTTP/1.1\r\n{self._common}"
        for name, value in headers:
            lines += f"{name}: {value}\r\n"
        if body is not None:
            lines += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        elif method != "GET":
            lines += "Content-Length: 0\r\n"
        return f"{lines}\r\n".encode("ascii") + (body or b"")

    def _exchange(self, request: bytes, deadline: float) -> Reply:
        connection = self._reusable() or self._connect(deadline)
        keep = False
        try:
            connection.limit(seconds_left(deadline, 0.001))
            sent = connection.sock.send(request)  # nearly always all of it; gevent's `sendall` costs twice that
            if sent < len(request):
                connection.sock.sendall(request[sent:])
            incoming = Answer(connection.sock, lambda: connection.limit(seconds_left(deadline)), self._max_answer)
            body = incoming.read()
            keep = incoming.keep
            return Reply(incoming.status, body)
        except TooLarge:
            raise AnswerTooLarge(f"the answer has more than {self._max_answer} bytes") from None
        except (OSError, ValueError) as error:
            raise AnswerLost(_reason(error)) from None
        finally:
            if keep:
                self._close_forgotten()
                connection.idle_since = monotonic()
                self._idle.append(connection)
            else:
                connection.close()

    def _reusable(self) -> Connection | None:
        """The connection used last, if it has not been idle for long and the other side has not closed it."""
        oldest = monotonic() - IDLE_SECONDS
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.idle_since > oldest and connection.is_quiet():
                return connection
            connection.close()

    def _close_forgotten(self) -> None:
        """Closes what has been idle for too long: the surplus of a burst, which nobody takes out again."""
        oldest = monotonic() - IDLE_SECONDS
        while True:
            try:
                connection = self._idle.popleft()
            except IndexError:
                return
            if connection.idle_since > oldest:
                self._idle.appendleft(connection)
                return
            connection.close()

    def _connect(self, deadline: float) -> Connection:
        until = min(deadline, monotonic() + self._connect_timeout)
        try:
            sock = self._open(until)
        except (OSError, UnicodeError) as error:
            raise NotSent(f"cannot connect: {_reason(error)}") from None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(seconds_left(until))
            return Connection(self._tls.wrap_socket(sock, server_hostname=self._host) if self._tls else sock)
        except (OSError, ValueError) as error:
            sock.close()
            raise NotSent(f"cannot connect: {_reason(error)}") from None

    def _open(self, deadline: float) -> socket.socket:
        """Tries the host's addresses in turn, all within the one deadline. Raises OSError."""
        failed: OSError = OSError(f"{self._host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(seconds_left(deadline))
                sock.connect(address)
                return sock
            except OSError as error:
                sock.close()
                failed = error
        raise failed


def _reason(error: Exception) -> str:
    """An error in few words, with nothing of the request in it."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) if isinstance(error, ValueError) else type(error).__name__
