"""Wrap Flask in a WSGI layer that records each request, adds the headers about it and writes its log line.

It is outside of Flask so that every request is recorded, also one that an extension or a hook answers.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic, time
from typing import Any

from werkzeug.wsgi import ClosingIterator

from app.errors import SyncError
from app.telemetry.access_log import json_line, text_line
from app.telemetry.metrics import Metrics
from app.telemetry.metrics_folder import FOLDER_VARIABLE
from app.telemetry.metrics_socket import MetricsSocket
from app.telemetry.trace import Trace, begin, end
from app.telemetry.wsgi import Wsgi
from formatters import dumps
from formatters.contract import JSON_TYPE

QUIET = frozenset({"/healthz", "/readyz"})  # called every few seconds: logged only if the status is not 200

LINES = {"text": text_line, "json": json_line}

log = logging.getLogger("theeye_sync")


class Tracing:
    """Record, log and count the requests of a WSGI application."""

    def __init__(self, application: Wsgi, form: str, metrics: Metrics | None = None, bind: str = "") -> None:
        """Wrap an application; `form` is that of the log lines or `off`, `bind` the address of `/metrics`."""
        self._metrics = metrics
        # A process that does not count, because its disk is full, shows what the others have counted.
        self._metrics_socket = MetricsSocket(bind) if bind and FOLDER_VARIABLE in os.environ else None
        self._application = application
        self._line = LINES.get(form)
        self._out = StandardOutput()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request, also if the application raises."""
        if self._metrics_socket is not None and self._metrics_socket.takes(environ):
            return self._metrics_socket.answer(environ, start_response)
        trace, is_stream = begin(environ), False

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal is_stream
            trace.status = int(status[:3])
            names = {name.lower() for name, _ in headers}
            is_stream = "content-type" in names and "content-length" not in names  # it is made while it is sent
            headers = [*headers, ("X-Request-Id", trace.request_id)]
            if timing := trace.server_timing():
                headers.append(("Server-Timing", timing))
            return start_response(status, headers, exc_info)

        ends_later = False
        try:
            parts = self._application(environ, start)
            if is_stream:
                parts, ends_later = ClosingIterator(parts, [partial(self._end, trace)]), True
            return parts
        except Exception as error:
            log.error("unexpected error outside of a view", exc_info=error)
            if trace.status:  # the answer has begun: the host can only cut it off
                raise
            return _internal(trace, start)
        finally:
            if not ends_later:
                self._end(trace)

    def _end(self, trace: Trace) -> None:
        trace.status = trace.status or 500  # the host has ended the request
        total = monotonic() - trace.began
        if trace.status != 200 or trace.environ.get("PATH_INFO") not in QUIET:
            if self._line is not None:
                self._out.write(self._line(trace, time(), total))
            if self._metrics is not None:
                self._metrics.request(trace, total)
        end(trace)


class StandardOutput:
    """Write to standard output, which a WSGI host may restrict, close or leave out."""

    def __init__(self) -> None:
        """Start without a failure."""
        self._lost = False

    def write(self, line: str) -> None:
        """Write one line with one system call, so that the lines of several processes do not mix."""
        try:
            stream: Any = sys.stdout
            number = _number(stream)
            if number is not None:
                os.write(number, line.encode("ascii"))
            else:
                stream.write(line)
                stream.flush()
            self._lost = False
        except Exception as error:  # noqa: BLE001 - an answer does not depend on its log line
            if not self._lost:
                self._lost = True
                log.error("requests are not logged, standard output cannot be written: %s", type(error).__name__)


def _number(stream: Any) -> int | None:
    """Return the stream's file descriptor, or None."""
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return number if isinstance(number, int) else None


def _internal(trace: Trace, start: Callable[..., Any]) -> Iterable[bytes]:
    """Answer 500 after Flask itself failed: no part of its answer can be used."""
    error = SyncError("Internal Server Error")
    trace.by, trace.code = "service", error.code
    body = dumps(error.body())
    start("500 Internal Server Error", [("Content-Type", JSON_TYPE), ("Content-Length", str(len(body)))])
    return [body]
