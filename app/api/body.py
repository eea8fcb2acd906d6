"""Receive a request's body within its limits, and make it ready for the supervisor.

What is passed on are the task's arguments, without the names that are not the caller's to set.
"""

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from werkzeug.wsgi import get_content_length, get_input_stream

from app.api.query import BLOCKED_NAMES, base_name
from app.errors import BadRequest, SyncError, TooLarge, TooSlow, UnsupportedType
from app.waiter.ticker import Ticker
from formatters.cost import TooCostly
from formatters.jsontext import dumps, loads_body

BODY_SECONDS = 10.0  # in which the next piece of the body, or its end, must arrive
BODY_PIECE = 64 * 1024

_FIELDS = 1000
_DEPTH = 5
_ESCAPES = 1_000_000  # each costs most of a microsecond, and greenlets wait for each other
_KEYS = re.compile(r"\[([^\[\]]*)\]")


@dataclass(slots=True, eq=False)
class _Reader:
    """Hold a body that is being read; its next piece must arrive by `deadline` (monotonic seconds)."""

    sock: socket.socket
    deadline: float
    late: bool = False


class _SlowBodies:
    """Cut off clients that send too slowly. A timeout of the socket would start anew with every byte."""

    def __init__(self) -> None:
        self._ticker = Ticker("theeye-sync-bodies", self._cut_off)
        self._lock = threading.Lock()
        self._readers: set[_Reader] = set()

    @contextmanager
    def watch(self, sock: socket.socket | None) -> Iterator[_Reader | None]:
        """Cut the client off unless each BODY_PIECE comes in BODY_SECONDS; without a socket nobody can."""
        if sock is None:
            yield None
            return
        reader = _Reader(sock, monotonic() + BODY_SECONDS)
        with self._lock:
            self._readers.add(reader)
        try:
            self._ticker.ensure_running()
            yield reader
        finally:
            with self._lock:
                self._readers.discard(reader)

    def _cut_off(self) -> None:
        with self._lock:
            late = [reader for reader in self._readers if reader.deadline < monotonic()]
        for reader in late:
            reader.late = True
            with suppress(OSError):  # gevent's own shutdown would raise an error in the greenlet that reads
                getattr(reader.sock, "_sock", reader.sock).shutdown(socket.SHUT_RD)


@cache
def _slow_bodies() -> _SlowBodies:
    """Return those of this process; made at the first use, since a lock made before gevent's patching would block."""
    return _SlowBodies()


def read_body(environ: dict[str, Any], most: int) -> bytes:
    """Return the whole body. Raise TooLarge, TooSlow, or BadRequest where less came than was announced."""
    announced = get_content_length(environ)  # None also for chunks
    if announced is None and "HTTP_TRANSFER_ENCODING" in environ and not environ.get("wsgi.input_terminated"):
        raise BadRequest("This server reads no chunked bodies, send a Content-Length", status=411)
    if announced is not None and announced > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    sock: socket.socket | None = environ.get("gunicorn.socket")
    with _slow_bodies().watch(sock) as reader:
        try:
            body = _receive(get_input_stream(environ), most + 1, reader)
        except Exception:  # noqa: BLE001 - gunicorn has errors of its own for malformed chunks
            raise _broken_off(environ, reader) from None
    if len(body) > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    if (reader is not None and reader.late) or (announced is not None and len(body) != announced):
        raise _broken_off(environ, reader)
    return body


def _receive(stream: IO[bytes], most: int, reader: _Reader | None) -> bytes:
    """Return at most so many bytes, and give each piece a deadline of its own."""
    if reader is None:
        return stream.read(most)
    body = bytearray()
    while len(body) < most and (piece := stream.read(min(BODY_PIECE, most - len(body)))):
        body += piece
        reader.deadline = monotonic() + BODY_SECONDS
    return bytes(body)


def _broken_off(environ: Mapping[str, Any], reader: _Reader | None) -> SyncError:
    """Return the error of a body that did not come whole; where it ends is unknown, so the connection must end."""
    if reader is not None:
        environ["wsgi.input"].failed = True
        if reader.late:
            return TooSlow(f"The body came too slowly: less than {BODY_PIECE} bytes in {BODY_SECONDS:g} seconds")
    return BadRequest("The body ended too early, or is not framed as HTTP wants it")


def for_supervisor(body: bytes, content_type: str) -> bytes | None:
    """Return JSON bytes to pass on, None for an empty body. Raise BadRequest or UnsupportedType."""
    if not body.strip():
        return None
    media_type, _, parameters = content_type.lower().partition(";")
    media_type = media_type.strip()
    if media_type == "application/x-www-form-urlencoded":
        return dumps(_form(body))
    if media_type not in ("", "application/json", "text/json") and not re.fullmatch(
        r"application/[\w.-]+\+json", media_type
    ):
        raise UnsupportedType("The body must be application/json or application/x-www-form-urlencoded")
    charset = re.search(r"charset\s*=\s*\"?([\w.:-]+)", parameters)
    if charset and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedType("The body must be UTF-8")
    return _json(body.removeprefix(b"\xef\xbb\xbf"))


def _json(body: bytes) -> bytes:
    """Return the body as it came, unless something has to be taken out of it."""
    value = _read(body)
    if not isinstance(value, dict | list):
        raise BadRequest("The body must be a JSON object or array")
    if isinstance(value, dict) and not BLOCKED_NAMES.isdisjoint(value):
        return dumps({name: item for name, item in value.items() if name not in BLOCKED_NAMES})
    return body


def _read(body: bytes) -> Any:
    try:
        return loads_body(body)
    except TooCostly:
        raise TooLarge("The body has too many values for its size") from None
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    """Say what is wrong, without a word of the body itself."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error)


def _form(body: bytes) -> dict[str, Any]:
    """Read a form as TheEye reads it: `a=1&a=2`, `a[]=1` and `a[0]=1` are arrays."""
    if body.lstrip()[:1] in (b"{", b"["):
        raise BadRequest("The body looks like JSON: send it with Content-Type: application/json")
    if body.count(b"%") > _ESCAPES:
        raise BadRequest(f"The form has more than {_ESCAPES} escaped bytes: send JSON")
    try:
        fields = _fields(body)
    except ValueError:
        raise BadRequest(f"The body is not a form in UTF-8 of at most {_FIELDS} fields") from None
    form: dict[str, Any] = {}
    for name, text in fields:
        if base_name(name) not in BLOCKED_NAMES:
            _put(form, name, text)
    arranged = {name: _arrays(value) for name, value in form.items()}
    arguments = arranged.get("task_arguments", [])
    return arranged if isinstance(arguments, list) else {**arranged, "task_arguments": [arguments]}


def _fields(body: bytes) -> list[tuple[str, str]]:
    """Return names and values, as `urllib.parse.parse_qsl` does, whose `unquote` takes 200 bytes for each escape.

    Raise ValueError for too many fields and for what is not UTF-8.
    """
    if body.count(b"&") >= _FIELDS:
        raise ValueError("too many fields")
    pairs = (field.partition(b"=") for field in body.replace(b"+", b" ").split(b"&") if field)
    return [(_unquoted(name), _unquoted(text)) for name, _, text in pairs]


def _unquoted(text: bytes) -> str:
    """Decode a piece at a time; none ends inside of an escape."""
    pieces, start = [], 0
    while start < len(text):
        end = start + BODY_PIECE
        while end < len(text) and b"%" in text[end - 2 : end]:
            end += 1
        pieces.append(unquote_to_bytes(text[start:end]))
        start = end
    return b"".join(pieces).decode()


def _put(form: dict[str, Any], name: str, text: str) -> None:
    """Store one field under its path of keys; a repeated field becomes a list."""
    head, bracket, _ = name.partition("[")
    path = [head, *_KEYS.findall(name)[:_DEPTH]] if head and bracket else [name]
    node = form
    for key in path[:-1]:
        below = node.setdefault(key or str(len(node)), {})
        if not isinstance(below, dict):
            raise BadRequest(f"The form's field {head!r} is both a value and an object")
        node = below
    last = path[-1] or str(len(node))
    if last not in node:
        node[last] = text
    elif isinstance(node[last], list):
        node[last].append(text)
    elif isinstance(node[last], str):
        node[last] = [node[last], text]
    else:
        raise BadRequest(f"The form's field {head!r} is both a value and an object")


def _arrays(value: Any) -> Any:
    """Turn an object whose keys are all indexes into an array in their order."""
    if not isinstance(value, dict):
        return value
    inner = {name: _arrays(item) for name, item in value.items()}
    if inner and all(re.fullmatch(r"[0-9]{1,4}", name, re.ASCII) for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
