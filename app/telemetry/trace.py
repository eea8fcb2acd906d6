"""One request's record: who asked for what, how it ended, and where the time went."""

import os
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from time import monotonic
from typing import Any

from app.api.query import Query

KEY = "theeye_sync.trace"  # the record's place in the WSGI environ

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:+/=@-]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


class Trace:
    """A request's record; seconds that were not measured are 0. `headers`: lines for the calls to TheEye."""

    __slots__ = (
        "began",
        "by",
        "code",
        "create",
        "customer",
        "ended",
        "format",
        "headers",
        "job",
        "joined",
        "mode",
        "queue",
        "read",
        "request_id",
        "secrets",
        "session",
        "status",
        "task",
        "wait",
    )

    def __init__(self, request_id: str = "", headers: str = "") -> None:
        """The record of a request that begins now."""
        self.began = monotonic()
        self.request_id = request_id
        self.headers = headers
        self.customer = self.task = self.job = self.mode = self.code = ""
        self.by = "service"
        self.status = 0
        self.session = self.queue = self.create = self.wait = self.read = self.format = 0.0
        self.secrets: tuple[str, ...] | None = None  # the tokens, once they are known
        self.joined = self.ended = False

    def server_timing(self) -> str:
        """The header's value; empty where nothing was measured."""
        if not self.session:
            return ""
        timing = f"session;dur={self.session * 1000:.1f}"
        if self.queue:
            timing += f", queue;dur={self.queue * 1000:.1f}"
        if self.create:
            timing += f", create;dur={self.create * 1000:.1f}"
        if self.wait:
            timing += f", wait;dur={self.wait * 1000:.1f}"
        if self.read:
            timing += f", read;dur={self.read * 1000:.1f}"
        return f"{timing}, format;dur={self.format * 1000:.1f}" if self.format else timing


_current: ContextVar[Trace | None] = ContextVar("theeye_sync_trace", default=None)


def begin(environ: dict[str, Any]) -> Trace:
    """The record of the request that begins, kept in its environ."""
    request_id = environ.get("HTTP_X_REQUEST_ID")
    if request_id is None or not _REQUEST_ID.fullmatch(request_id) or _tells(request_id, environ):
        request_id = os.urandom(16).hex()
    headers = f"X-Request-Id: {request_id}\r\n"
    if "HTTP_TRACEPARENT" in environ:
        headers += _context(environ)
    trace = environ[KEY] = Trace(request_id, headers)
    _current.set(trace)
    return trace


def current() -> Trace | None:
    """The record of the request that this thread or greenlet is at work for."""
    trace = _current.get()
    return None if trace is None or trace.ended else trace


def tokens(environ: Mapping[str, Any]) -> tuple[str, ...]:
    """Whatever in a request may be a token, before anybody has read it."""
    words = environ.get("HTTP_AUTHORIZATION", "").split()
    query = environ.get("QUERY_STRING", "")
    named = "access_token" in query or "%" in query  # most requests need no second look
    return (*(words[1:] or words), *(Query(query).all("access_token") if named else ()))


def without(secrets: Iterable[str], text: str) -> str:
    """The text with every secret replaced."""
    for secret in secrets:
        if secret and secret in text:
            text = text.replace(secret, "***")
    return text


def _tells(text: str, environ: Mapping[str, Any]) -> bool:
    """Whether a token of the request stands in the text."""
    return any(token in text for token in tokens(environ) if token)


def _context(environ: Mapping[str, Any]) -> str:
    """The lines of the W3C trace context, unchanged; none where it cannot be read."""
    parent, state = environ["HTTP_TRACEPARENT"].strip(), environ.get("HTTP_TRACESTATE", "").strip()
    if not _TRACEPARENT.fullmatch(parent) or _tells(parent, environ):
        return ""
    lines = f"traceparent: {parent}\r\n"
    if _TRACESTATE.fullmatch(state) and not _tells(state, environ):
        lines += f"tracestate: {state}\r\n"
    return lines
