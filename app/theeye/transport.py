"""Make HTTP/1.1 calls to one base URL over kept connections; parse answers with the standard library's `http.client`.

TransportError          a call without an answer
├── NotSent             no byte of the request was sent: it cannot have had an effect
│   └── AllBusy         no connection was free for it
└── AnswerLost          the request was sent, at least in part; its effect is unknown
    └── AnswerTooLarge  the answer is larger than the limit

The service makes two calls for every request. urllib3, requests and a new `HTTPConnection` for each call cost more
(docs/performance.md). None of them has one deadline for a whole call, or distinguishes NotSent from AnswerLost.
"""

import queue
import re
from collections.abc import Iterable
from contextlib import suppress
from http.client import BadStatusLine, HTTPException, HTTPMessage, HTTPResponse, IncompleteRead
from time import monotonic
from typing import NamedTuple

from app.telemetry.text import is_visible
from app.theeye.addresses import Addresses
from app.theeye.codings import decoded
from app.theeye.connection import Connection, connect
from app.theeye.endpoint import Endpoint, read_endpoint
from app.theeye.idle import IdleConnections
from app.theeye.job_id import HEAD

CONNECTIONS = 256
ALL_BUSY = "too many calls of this caller, task or customer are under way"

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*")  # RFC 9110, 5.1 and 5.5


class TransportError(Exception):
    """Report a call without an answer; the message contains no header and no query."""


class NotSent(TransportError):
    """Report that no byte of the request was sent: it cannot have had an effect."""


class AllBusy(NotSent):
    """Report that no connection was free for the call until its deadline."""


class AnswerLost(TransportError):
    """Report that the request was sent, at least in part; its effect is unknown."""


class AnswerTooLarge(AnswerLost):
    """Report an answer that is larger than the limit, with its status and its first bytes (`head`)."""

    def __init__(self, message: str, status: int, head: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.head = head


class Reply(NamedTuple):
    """Hold a whole answer; look up headers by name in any case."""

    status: int
    headers: HTTPMessage
    body: bytes


class Transport:
    """Call one base URL; thread-safe, also for greenlets."""

    def __init__(
        self, base_url: str, connect_timeout: float, call_timeout: float, max_answer: int, client_cert: str = ""
    ) -> None:
        """Read proxy and certificates from the environment; connect to nothing yet. Raise SettingsError.

        The timeouts are in seconds, `max_answer` in bytes; `client_cert` is a PEM file with certificate and key.
        """
        self.endpoint = read_endpoint(base_url, client_cert)
        self._addresses = Addresses(*self.endpoint.next_hop)
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._max_answer = max_answer
        self._target, self._common = _common(self.endpoint)
        self._idle = IdleConnections()
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()  # a semaphore that costs little, also under gevent
        for _ in range(CONNECTIONS):
            self._free.put(None)

    def call(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Make one call within the shorter of both timeouts. Raise NotSent, AnswerLost or AnswerTooLarge."""
        seconds = self._call_timeout if timeout is None else min(self._call_timeout, timeout)
        deadline = monotonic() + seconds
        request = self._request(method, path, headers, body)
        try:
            self._free.get(timeout=max(seconds, 0))
        except queue.Empty:
            raise AllBusy(ALL_BUSY) from None
        try:
            return self._exchange(method, request, deadline)
        finally:
            self._free.put(None)

    def close(self) -> None:
        """Close the idle connections, and from now on every other connection after its call."""
        self._idle.close()

    def _request(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | None) -> bytes:
        """Return the bytes of a request. Raise NotSent for characters that HTTP does not allow."""
        target = self._target + path
        if not is_visible(target):
            raise NotSent("the path has a character that HTTP does not allow")
        head = [f"{method} {target} HTTP/1.1\r\n{self._common}"]
        for name, value in headers:
            line = f"{name}: {value}"
            if not _HEADER.fullmatch(line):
                raise NotSent(f"the header {name!a} has a character that HTTP does not allow")
            head.append(line)
        if body is not None:
            head.append(f"Content-Type: application/json\r\nContent-Length: {len(body)}")
        elif method != "GET":
            head.append("Content-Length: 0")
        return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")

    def _exchange(self, method: str, request: bytes, deadline: float) -> Reply:
        connection = self._idle.take() or self._connect(deadline)
        keep = False
        try:
            if monotonic() >= deadline:
                raise NotSent("timed out before it was sent")
            connection.deadline = deadline
            connection.send(request)
            response = connection.read_response(method)
            body = self._body(response)
            keep = not response.will_close
            return Reply(response.status, response.headers, body)
        except (OSError, HTTPException, ValueError) as error:
            raise AnswerLost(_reason(error)) from None
        finally:
            if keep:
                self._idle.keep(connection)
            else:
                connection.close()

    def _body(self, response: HTTPResponse) -> bytes:
        """Read the body. Raise AnswerTooLarge, OSError, HTTPException or ValueError."""
        message = f"the answer has more than {self._max_answer} bytes"
        if (response.length or 0) > self._max_answer:
            head = b""
            with suppress(OSError, HTTPException):
                head = response.read1(HEAD)  # the part that has arrived
            raise AnswerTooLarge(message, response.status, head)
        body = response.read(self._max_answer + 1)
        if coding := response.headers.get("Content-Encoding"):
            body = decoded(body, coding, self._max_answer)
        if len(body) > self._max_answer:
            raise AnswerTooLarge(message, response.status, body[:HEAD])
        return body

    def _connect(self, deadline: float) -> Connection:
        until = min(deadline, monotonic() + self._connect_timeout)
        try:
            return connect(self.endpoint, self._addresses, until)
        except (OSError, HTTPException, ValueError) as error:
            raise NotSent(f"cannot connect: {_reason(error)}") from None


def _common(endpoint: Endpoint) -> tuple[str, str]:
    """Return the beginning of all targets, and the header lines of all requests."""
    target = endpoint.base
    lines = [f"Host: {endpoint.authority}", "Accept: application/json", "Accept-Encoding: identity"]
    if endpoint.proxy is not None and endpoint.is_relayed:
        target = f"{endpoint.scheme}://{endpoint.authority}{endpoint.base}"  # RFC 9112, 3.2.2
        if endpoint.proxy.authorization:
            lines.append(f"Proxy-Authorization: {endpoint.proxy.authorization}")
    return target, "\r\n".join(lines)


def _reason(error: Exception) -> str:
    """Return a short description of an error, which contains nothing of the request or the answer."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, BadStatusLine):
        return "no HTTP answer"
    if isinstance(error, IncompleteRead):
        return "cut off in its body"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return str(error)
