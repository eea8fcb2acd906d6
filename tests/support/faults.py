"""Define the requests and answers of the stand-in on a connection, and the faults of an answer.

    Call      a request                     Answer    the right answer
    Exchange  both of them on a socket      Fault     a different course of an exchange

A fault is any object with `play(exchange) -> bool`; false closes the connection.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.client import responses
from typing import Any, Protocol

JSON = "application/json; charset=utf-8"
BODILESS = {204, 304}


def dumps(value: Any) -> bytes:
    """Return JSON as JSON.stringify writes it: compact, UTF-8, lone surrogates as escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Call:
    """Hold a request as it arrived."""

    kind: str
    method: str
    target: str
    path: str
    names: dict[str, str]  # customer, task and job
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    at: float
    connection: int

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """Hold a response; `after` is called when it was sent, or sending has failed."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    after: Callable[[], None] | None = None

    def head(self, length: int | None = None) -> bytes:
        """Return the status line and the headers; `length` overrides the true Content-Length."""
        headers = {"Content-Type": JSON} | self.headers
        if self.status in BODILESS:
            headers.pop("Content-Type")
        elif self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(self.body) if length is None else length)
        lines = [
            f"HTTP/1.1 {self.status} {responses.get(self.status, '')}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def payload(self) -> bytes:
        if self.status in BODILESS:
            return b""
        return b"".join(_chunks(self.body)) if self.chunked else self.body

    def wire(self) -> bytes:
        return self.head() + self.payload()


def _chunks(body: bytes, size: int = 65536) -> list[bytes]:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return [b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""]]


class Gate:
    """Make every connection wait while the stand-in is frozen, and fail after it has stopped."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frozen = False
        self._stopped = False

    def set(self, *, frozen: bool = False, stopped: bool = False) -> None:
        with self._changed:
            self._frozen, self._stopped = frozen, self._stopped or stopped
            self._changed.notify_all()

    def enter(self) -> None:
        """Wait until the stand-in is thawed. Raise ConnectionAbortedError if it has stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._frozen)
            self._check()

    def pause(self, seconds: float | None) -> None:
        """Sleep for some seconds (None: for ever), or until the stand-in stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)
            self._check()

    def _check(self) -> None:
        if self._stopped:
            raise ConnectionAbortedError("the stand-in was stopped")


class Connection:
    """Hold a client's connection; it is `idle` between an answer and the next request."""

    def __init__(self, number: int, sock: socket.socket, gate: Gate) -> None:
        self.number, self.sock, self.gate = number, sock, gate
        self._lock = threading.Lock()
        self._idle = True

    def busy(self) -> None:
        with self._lock:
            self._idle = False

    def send(self, data: bytes, last: bool = False) -> None:
        """Send data; the connection is idle before the client has the `last` bytes of an answer."""
        self.gate.enter()
        with self._lock:
            self.sock.sendall(data)
            self._idle = last

    def hang_up(self, only_idle: bool = False) -> bool:
        """Shut the connection down; its own thread closes the socket."""
        if not only_idle:
            return self._shutdown()
        with self._lock:
            return self._idle and self._shutdown()

    def _shutdown(self) -> bool:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # the client has closed it before
            return False
        return True


class Exchange:
    """Answer one request."""

    def __init__(self, connection: Connection, call: Call, handler: Callable[[Call], Answer]) -> None:
        self.connection, self.call = connection, call
        self._handler = handler
        self._answer: Answer | None = None

    def carry_out(self) -> Answer:
        """Carry out the request once, and return the right answer."""
        if self._answer is None:
            self._answer = self._handler(self.call)
        return self._answer

    def reply(self, answer: Answer) -> bool:
        """Send a whole answer; return whether the connection can serve another request."""
        keep = self.call.headers.get("connection", "").lower() != "close"
        if not keep:  # the answer must say so, or the client reuses the connection
            answer = replace(answer, headers=answer.headers | {"Connection": "close"})
        self.connection.send(answer.wire(), last=keep)
        return keep

    def finish(self) -> None:
        """Run the answer's `after`, also if sending has failed."""
        if self._answer and self._answer.after:
            self._answer.after()


class Fault(Protocol):
    """Define a fault."""

    def play(self, exchange: Exchange) -> bool: ...


@dataclass(frozen=True)
class Reply:
    """Send this answer without carrying the request out; a body that is not bytes is sent as JSON."""

    status: int
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)

    def play(self, exchange: Exchange) -> bool:
        body = self.body if isinstance(self.body, bytes) else dumps(self.body)
        return exchange.reply(Answer(self.status, body, self.headers))


def Html(status: int) -> Reply:  # noqa: N802 - reads like the other faults
    """Send a page, as a proxy in between would."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status} nginx</h1></body></html>"
    return Reply(status, page.encode(), {"Content-Type": "text/html"})


def Stack(status: int) -> Reply:  # noqa: N802
    """Send an error with a stack trace, which must not reach the service's callers."""
    return Reply(status, stack(status))


def stack(status: int, message: str = "Internal Error") -> dict[str, Any]:
    trace = f"Error: {message}\n    at Object.handle (/srv/theeye/core/router.js:42:11)"
    return {"statusCode": status, "message": message, "stack": trace}


def Redirect(location: str, status: int = 302) -> Reply:  # noqa: N802
    """Redirect to another address."""
    return Reply(status, b"", {"Location": location})


@dataclass(frozen=True)
class Verbatim:
    """Send these bytes instead of an HTTP response, then close."""

    data: bytes

    def play(self, exchange: Exchange) -> bool:
        exchange.connection.send(self.data)
        return False


@dataclass(frozen=True)
class HalfBody:
    """Send the right answer, cut off in the middle of the body."""

    def play(self, exchange: Exchange) -> bool:
        answer = exchange.carry_out()
        half = answer.body[: len(answer.body) // 2]
        exchange.connection.send(answer.head(length=max(len(answer.body), 10)) + half)
        return False


@dataclass(frozen=True)
class Drip:
    """Send the right answer byte by byte, also its headers."""

    seconds_per_byte: float

    def play(self, exchange: Exchange) -> bool:
        data = exchange.carry_out().wire()
        for offset in range(len(data)):
            exchange.connection.send(data[offset : offset + 1], last=offset == len(data) - 1)
            exchange.connection.gate.pause(self.seconds_per_byte)
        return True


@dataclass(frozen=True)
class Silence:
    """Send nothing for some seconds (None: until stopped), then close."""

    seconds: float | None = None
    carried_out: bool = False

    def play(self, exchange: Exchange) -> bool:
        if self.carried_out:
            exchange.carry_out()
        exchange.connection.gate.pause(self.seconds)
        return False


@dataclass(frozen=True)
class CloseBefore:
    """Close without carrying the request out."""

    def play(self, exchange: Exchange) -> bool:
        return False


@dataclass(frozen=True)
class CloseAfter:
    """Carry the request out, then close without an answer."""

    def play(self, exchange: Exchange) -> bool:
        exchange.carry_out()
        return False


@dataclass(frozen=True)
class Reset:
    """Reset the connection instead of answering."""

    carried_out: bool = False

    def play(self, exchange: Exchange) -> bool:
        if self.carried_out:
            exchange.carry_out()
        no_linger = struct.pack("ii", 1, 0)
        exchange.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        return False


@dataclass(frozen=True)
class Late:
    """Carry the request out at once and answer later; or play a fault later, or do everything later."""

    seconds: float
    fault: Fault | None = None
    all_of_it: bool = False

    def play(self, exchange: Exchange) -> bool:
        if not self.fault and not self.all_of_it:
            exchange.carry_out()
        exchange.connection.gate.pause(self.seconds)
        return self.fault.play(exchange) if self.fault else exchange.reply(exchange.carry_out())


@dataclass(frozen=True)
class Held:
    """Carry out and answer a request when the test says so; if `lost`, close the connection then."""

    lost: bool = False
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def play(self, exchange: Exchange) -> bool:
        self.arrived.set()
        assert self.released.wait(30)
        return not self.lost and exchange.reply(exchange.carry_out())


@dataclass(frozen=True)
class Big:
    """Send the right JSON object with at least `size` bytes of padding; `chunked` sends no Content-Length."""

    size: int
    chunked: bool = False

    def play(self, exchange: Exchange) -> bool:
        answer = exchange.carry_out()
        document = json.loads(answer.body) | {"padding": "x" * self.size}
        return exchange.reply(Answer(answer.status, dumps(document), answer.headers, self.chunked))
