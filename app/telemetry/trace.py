"""Record one request: the caller, the task, the outcome, and how long each step took."""

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar
from time import monotonic
from typing import Any

from app.telemetry.tokens import names_token, possible_tokens

try:
    from opentelemetry import trace as opentelemetry
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    opentelemetry = None  # type: ignore[assignment]

Headers = tuple[tuple[str, str], ...]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:+/=@-]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


class Trace:
    """Hold the record of a request; durations are in seconds, 0 if not measured. `context` is W3C trace context."""

    __slots__ = (
        "began",
        "by",
        "code",
        "context",
        "create",
        "customer",
        "ended",
        "environ",
        "format",
        "is_failure",
        "job",
        "joined",
        "mode",
        "outer",
        "queue",
        "read",
        "request_id",
        "secrets",
        "session",
        "status",
        "task",
        "user",
        "wait",
        "workflow",
    )

    def __init__(self, request_id: str = "", context: Headers = (), environ: Mapping[str, Any] | None = None) -> None:
        """Start the record now; `environ` is the WSGI environ."""
        self.environ = environ or {}
        self.outer = current()  # the record of a request that makes this one inside its own thread
        self.began = monotonic()
        self.request_id = request_id
        self.context = context
        self.customer = self.user = self.task = self.workflow = self.job = self.mode = self.code = ""
        self.by = "service"
        self.status = 0
        self.session = self.queue = self.create = self.wait = self.read = self.format = 0.0
        self.secrets: tuple[str, ...] | None = None  # the tokens; None until they are read
        self.joined = self.ended = False
        self.is_failure = True  # whether a status of 500 or more is logged as a failure

    @property
    def headers(self) -> Headers:
        """Return the headers by which TheEye can match a call to this request."""
        return (("X-Request-Id", self.request_id), *self.context) if self.request_id else self.context

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """Return the tokens; before they are read, every text that may be one."""
        return possible_tokens(self.environ) if self.secrets is None else self.secrets

    def follow_active_span(self) -> None:
        """Replace the caller's trace context by that of OpenTelemetry's active span, if there is one."""
        if opentelemetry is not None and opentelemetry.get_current_span().get_span_context().is_valid:
            carrier: dict[str, str] = {}
            TraceContextTextMapPropagator().inject(carrier)
            self.context = tuple(carrier.items())

    def server_timing(self) -> str:
        """Return the value of the Server-Timing header, or an empty string if nothing was measured."""
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


def begin(environ: Mapping[str, Any]) -> Trace:
    """Start the record of a request, and let `current` return it."""
    request_id = environ.get("HTTP_X_REQUEST_ID")
    if request_id is None or not _REQUEST_ID.fullmatch(request_id) or _holds_token(request_id, environ):
        request_id = os.urandom(16).hex()
    trace = Trace(request_id, _context(environ) if "HTTP_TRACEPARENT" in environ else (), environ)
    _current.set(trace)
    return trace


def end(trace: Trace) -> None:
    """End the record of a request, and let `current` return that of the outer request, if there is one."""
    trace.ended, trace.environ = True, {}
    _current.set(trace.outer)


def current() -> Trace | None:
    """Return the record of the request that this thread or greenlet serves, or None outside of a request."""
    trace = _current.get()
    return None if trace is None or trace.ended else trace


def _holds_token(text: str, environ: Mapping[str, Any]) -> bool:
    return names_token(text) or any(token in text for token in possible_tokens(environ) if token)


def _context(environ: Mapping[str, Any]) -> Headers:
    """Return the caller's W3C trace context unchanged, without the parts that are invalid or contain a token."""
    parent, state = environ["HTTP_TRACEPARENT"].strip(), environ.get("HTTP_TRACESTATE", "").strip()
    if not _TRACEPARENT.fullmatch(parent) or _holds_token(parent, environ):
        return ()
    if not _TRACESTATE.fullmatch(state) or _holds_token(state, environ):
        return (("traceparent", parent),)
    return (("traceparent", parent), ("tracestate", state))
