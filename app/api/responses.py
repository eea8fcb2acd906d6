"""From an answer to the bytes of an HTTP response: status line, JSON, ETag, CORS, job headers."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

from formatters.contract import JSON_TYPE
from formatters.jsontext import dumps

# Python 3.11 has the phrases of older RFCs for some of them.
_PHRASES = {
    **{known.value: known.phrase for known in HTTPStatus},
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
BODILESS = frozenset({204, 205, 304})
_ALLOWED_HEADERS = (
    "Origin, Accept, User-Agent, Accept-Charset, Cache-Control, Accept-Encoding, "
    "Content-Type, Authorization, Content-Length, X-Requested-With"
)
_OUR_HEADERS = "Prefer, Idempotency-Key, X-Request-Id"
_EXPOSED_HEADERS = (
    "ETag, Idempotency-Replayed, Location, Preference-Applied, Retry-After, Server-Timing, "
    "X-Job-Id, X-Job-Lifecycle, X-Job-State, X-Request-Id"
)
Headers = list[tuple[str, str]]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_VISIBLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


class Response(NamedTuple):
    """What WSGI wants of a response."""

    status: str
    headers: Headers
    body: bytes = b""


class Cors:
    """The Access-Control headers, as the original sends them."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        """`origins`: those allowed, or `*`."""
        self._origins = frozenset(origins)

    def headers(self, origin: str | None, preflight: bool = False) -> Headers:
        """For any answer; an allowed origin is reflected, and then our headers are exposed to it."""
        allowed = "*" in self._origins or origin in self._origins
        headers: Headers = []
        if allowed:
            headers.append(("Access-Control-Allow-Origin", origin or "*"))
        headers += [
            ("Access-Control-Allow-Methods", "GET,PUT,PATCH,POST,DELETE,OPTIONS"),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Headers", f"{_ALLOWED_HEADERS}, {_OUR_HEADERS}" if preflight else _ALLOWED_HEADERS),
        ]
        if origin is not None or not allowed:
            headers.append(("Vary", "Origin"))
        if origin is not None and allowed and not preflight:
            headers.append(("Access-Control-Expose-Headers", _EXPOSED_HEADERS))
        return headers


def response(status: int, body: bytes, content_type: str, headers: Headers) -> Response:
    """The response of a status, with the original's ETag; a status without a body gets none."""
    if status in BODILESS:
        length = [("Content-Length", "0")] if status == HTTPStatus.RESET_CONTENT else []
        return Response(status_line(status), [*headers, *length])
    entity = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("ETag", etag(body))]
    return Response(status_line(status), [*headers, *entity], body)


def json_response(status: int, value: Any, headers: Headers) -> Response:
    """A JSON value as the original writes it."""
    return response(status, dumps(value), JSON_TYPE, headers)


def status_line(status: int) -> str:
    """The status with its standard phrase (RFC 9110)."""
    return f"{status} {_PHRASES.get(status, 'Unknown')}"


def etag(body: bytes) -> str:
    """The original's weak entity tag: length and hash."""
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
    return f'W/"{len(body):x}-{digest[:27]}"'


def job_headers(job_id: str, job: Mapping[str, Any] | None = None) -> Headers:
    """The job's id, and once it has ended (`job`) its lifecycle and state."""
    headers = [("X-Job-Id", visible(job_id))]
    for name, field in (("X-Job-Lifecycle", "lifecycle"), ("X-Job-State", "state")):
        value = job.get(field) if job is not None else None
        if isinstance(value, str) and value:
            headers.append((name, visible(value)))
    return headers


def visible(text: str) -> str:
    """Percent-encoded outside visible ASCII, at most 100 characters, never cut inside an escape."""
    return re.sub(r"%.?$", "", quote(text[:100], safe=_VISIBLE, errors="replace")[:100])
