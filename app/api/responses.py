"""Make responses: JSON and ETag as the original writes them, CORS, headers about a job, errors."""

import base64
import hashlib
import re
from http import HTTPStatus
from typing import Any

import flask
from werkzeug import datastructures

from app import errors
from app.telemetry.redaction import redact_json
from app.telemetry.text import percent_encode
from app.telemetry.trace import current
from formatters.contract import JSON_TYPE
from formatters.jsontext import dumps

Headers = list[tuple[str, str]]

# Python 3.11 has the phrases of older RFCs for some statuses.
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
_OUR_HEADERS = "Prefer, Idempotency-Key, X-Request-Id, traceparent, tracestate, Last-Event-ID, Content-Encoding"
_EXPOSED_HEADERS = (
    "ETag, Idempotency-Replayed, Link, Location, Preference-Applied, Retry-After, Server-Timing, "
    "X-Job-Exit-Code, X-Job-Id, X-Job-Lifecycle, X-Job-State, X-Request-Id"
)


class Response(flask.Response):
    """Leave out Flask's default media type: a response without a body has none."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: Any) -> datastructures.Headers:
        """Return the headers unchanged if they have a length or cannot; otherwise let werkzeug complete a copy."""
        is_complete = "Content-Length" in self.headers or self.is_streamed
        return self.headers if is_complete else super().get_wsgi_headers(environ)


def length_of(response: flask.Response) -> int | None:
    """Return the Content-Length, or None; werkzeug's `content_length` looks for the header twice."""
    return response.headers.get("Content-Length", type=int)


def respond(status: int, body: bytes, content_type: str, headers: Headers) -> Response:
    """Return a response with the original's ETag; leave out the body if the status allows none."""
    if status in BODILESS:
        length = [("Content-Length", "0")] if status == HTTPStatus.RESET_CONTENT else []
        return Response(None, status_line(status), [*headers, *length])
    entity = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("ETag", etag(body))]
    whole = datastructures.Headers()
    whole[:] = [*headers, *entity]  # adds them together: the constructor would add each one alone
    return Response([body], status_line(status), whole)  # with bytes alone, werkzeug would set the length again


def json_response(status: int, value: Any, headers: Headers | None = None) -> Response:
    """Return a response with a JSON value, written as the original does."""
    return respond(status, dumps(value), JSON_TYPE, headers or [])


def error_response(error: errors.SyncError) -> Response:
    """Return the response for an error of the service or of TheEye, in TheEye's shape."""
    _record(error)
    headers = [pair for pair in error.headers.items() if pair[0] != "Retry-After" or not _would_run_again(error)]
    if error.job is not None:
        headers += job_headers(error.job)
    return json_response(error.status, _redacted(error.body()), headers)


def _would_run_again(error: errors.SyncError) -> bool:
    """Return whether a repeated request would run the task again: then the answer must not have Retry-After."""
    started = error.job is not None or error.may_have_started
    return started and flask.request.method == "POST" and error.status != HTTPStatus.ACCEPTED


def _redacted(body: Any) -> Any:
    """Redact an error's message and TheEye's `value`, which may both quote the request."""
    if not isinstance(body, dict):
        return body
    return {name: redact_json(item) if name in ("message", "value") else item for name, item in body.items()}


def _record(error: errors.SyncError) -> None:
    """Record the error, and who made the status: TheEye if it refused a create or a valid token, else the service."""
    trace = current()
    if trace is None:  # the middleware is not in use
        return
    trace.code = error.code
    refused = isinstance(error, errors.Unauthorized) and trace.secrets is not None
    trace.by = "theeye" if refused or isinstance(error, errors.Refused | errors.TheEyeBusy) else "service"
    if error.job is not None:
        trace.job = error.job.id


def preflight() -> Response:
    """Return the answer to OPTIONS, for any path, without authentication."""
    return respond(204, b"", "", [])


def common_headers(method: str, origin: str | None, origins: tuple[str, ...]) -> Headers:
    """Return the headers of every answer: CORS as in the original, and `no-store` for GET."""
    headers = cors_headers(origins, origin, method == "OPTIONS")
    if method in ("GET", "HEAD"):
        headers.append(("Cache-Control", "no-store"))
    return headers


def cors_headers(origins: tuple[str, ...], origin: str | None, preflight: bool) -> Headers:
    """Return the CORS headers: reflect an allowed origin, and expose our headers to it."""
    allowed = "*" in origins or origin in origins
    headers: Headers = [("Access-Control-Allow-Origin", origin or "*")] if allowed else []
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


def job_headers(job: errors.Job) -> Headers:
    """Return headers with the job's id and, after its end, its lifecycle, state and exit code."""
    headers = [("X-Job-Id", visible(job.id))]
    if job.has_ended:
        told = (("X-Job-Lifecycle", job.lifecycle), ("X-Job-State", job.state))
        headers += [(name, visible(value)) for name, value in told if value]
        if job.exit_code is not None:
            headers.append(("X-Job-Exit-Code", visible(str(job.exit_code))))
    return headers


def status_line(status: int) -> str:
    """Return the status with its standard phrase (RFC 9110)."""
    return f"{status} {_PHRASES.get(status, 'Unknown')}"


def etag(body: bytes) -> str:
    """Return a weak entity tag like the original's: length and hash."""
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
    return f'W/"{len(body):x}-{digest[:27]}"'


def visible(text: str) -> str:
    """Percent-encode a text to visible ASCII, and cut it to 100 characters, but not inside an escape."""
    encoded = percent_encode(text[:100])
    return encoded if len(encoded) <= 100 else re.sub(r"%.?$", "", encoded[:100])
