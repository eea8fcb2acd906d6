"""Answer with server-sent events while a job runs (HTML Living Standard, section 9.2)."""

import base64
import codecs
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

import flask
from flask import current_app, request, stream_with_context
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from app import errors
from app.api.responses import Headers, Response, status_line, visible
from app.api.sending import held_until_sent
from app.telemetry.trace import Trace, current
from app.theeye.jobs import Job
from app.theeye.steps import Step
from app.waiter.following import Following
from formatters.jsontext import dumps

EVENTS = "text/event-stream"
LAST_EVENT, _LAST_EVENT_ID = "Last-Event-ID", "HTTP_LAST_EVENT_ID"  # the header, and its name in a WSGI environ
BEAT = b": the job has not ended\n\n"  # a comment: clients skip it, and proxies do not close the connection as idle
PIECE = 48 << 10  # bytes of a body sent at once; a multiple of 3, so that pieces in base64 join to one text


def are_wanted(environ: Mapping[str, Any]) -> bool:
    """Return whether the client prefers events to a plain answer."""
    return environ["REQUEST_METHOD"] in ("GET", "POST") and _prefer_events(environ.get("HTTP_ACCEPT", ""))


@lru_cache(maxsize=16)  # few headers are in use, and Flask's own parsed list would take memory while a request waits
def _prefer_events(accept: str) -> bool:
    accepted = parse_accept_header(accept, MIMEAccept)  # `*/*` comes last, also with a high quality
    name, quality = max(accepted, key=itemgetter(1), default=("", 0.0))
    return name.partition(";")[0].lower() == EVENTS and quality > 0


def refuse_last_event(environ: Mapping[str, Any]) -> None:
    """Refuse a client that wants to continue a stream with a POST: the task would run again. Raise BadRequest."""
    if _LAST_EVENT_ID in environ:
        raise errors.BadRequest(f"{LAST_EVENT} is for a GET of the job; nothing was started")


def are_complete(environ: Mapping[str, Any], job_id: str) -> bool:
    """Return whether the client has received the last event of a job: then 204 makes an EventSource stop."""
    complete = f"{visible(job_id)}:answer".lower()  # TheEye's ids may be written in upper case
    return are_wanted(environ) and _last_event(environ).lower() == complete


def stream(
    following: Following[Response], address: Callable[[str], str], expected: Callable[[], float | None]
) -> Response:
    """Return a stream of a job's changes, with the outcome at its end.

    Raise any error that occurs before the job is known. `address` returns where the answer of a job can be fetched
    later, `expected` how many seconds its task usually takes.
    """
    job, trace = _first_seen(following), current() or Trace()
    # Needed if a hook replaces the answer or nobody reads it: Flask closes a generator only after it has begun.
    held_until_sent(request.environ).add(_close, following)
    headers: Headers = [("Content-Type", EVENTS), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")]
    headers.append(("X-Job-Id", visible(job.id)))
    stream = _Stream(job, following, address, expected, trace)
    return Response(stream_with_context(stream.events()), status_line(200), headers)


def _first_seen(following: Following[Response]) -> Job:
    """Return the job once it exists."""
    while (job := next(following)) is None:
        continue
    return job


def _close(following: Following[Response]) -> None:
    with suppress(errors.ClientGone):
        following.close()


class _Stream:
    """Make the events of one job."""

    def __init__(
        self,
        job: Job,
        following: Following[Response],
        address: Callable[[str], str],
        expected: Callable[[], float | None],
        trace: Trace,
    ) -> None:
        """Begin with the job as it was read first."""
        self._job = job
        self._id = visible(job.id)
        self._following = following
        self._address = address
        self._expected = expected
        self._seconds: float | None = None  # the expected duration, once it is known
        self._told = _last_event(request.environ)
        self._steps: dict[str, str] = {}  # the steps of a workflow's job, each with the lifecycle sent last
        self._end = b""  # the event of the last lifecycle, sent together with the answer to save CPU
        self._trace = trace

    def events(self) -> Iterator[bytes]:
        """Yield all events."""
        try:
            first = _event("job", f"{self._id}:", self._data(id=self._job.id, location=self._address(self._job.id)))
            yield first + self._seen(self._job)
            response, failed = (yield from self._changes()), False
        except GeneratorExit:
            self._trace.status, self._trace.code = errors.ClientGone.status, errors.ClientGone.code
            raise
        except Exception as error:  # noqa: BLE001 - Flask's handlers make a response of any error
            response = _response(error)
            failed = response.status_code >= 400
        self._trace.status = response.status_code
        yield from self._last(response, failed)

    def _changes(self) -> Generator[bytes, None, flask.Response]:
        """Yield an event for each new lifecycle, and a comment for each beat; return the outcome."""
        while True:
            try:
                seen = next(self._following)
            except StopIteration as end:
                response: Response = end.value
                return response
            if seen is None:
                yield BEAT
            elif seen.has_ended:
                self._end += self._seen(seen)
            elif event := self._seen(seen):
                yield event

    def _seen(self, job: Job) -> bytes:
        """Return the events for the changes: those of the steps in order of creation, then the job's own."""
        steps = job.steps.all if job.steps is not None else ()
        return b"".join(self._step(job, step) for step in steps) + self._lifecycle(job)

    def _step(self, job: Job, step: Step) -> bytes:
        """Return the event of a step's lifecycle; empty if it was sent last, or if the step was deleted unread."""
        if step.gone or self._steps.get(step.id) == step.lifecycle:
            return b""
        self._steps[step.id] = step.lifecycle
        task = {"id": step.task, "name": step.name, "job": step.id, "lifecycle": step.lifecycle, "state": step.state}
        event_id = f"{self._id}:{visible(step.id)}:{visible(step.lifecycle)}"
        return _event("lifecycle", event_id, {"lifecycle": job.lifecycle, "task": task})

    def _lifecycle(self, job: Job) -> bytes:
        """Return the event of a job's lifecycle; empty if it was sent last."""
        event_id = f"{self._id}:{visible(job.lifecycle or '')}"
        if not job.lifecycle or event_id == self._told:
            return b""
        self._told = event_id
        return _event("lifecycle", event_id, self._data(lifecycle=job.lifecycle))

    def _data(self, **values: Any) -> dict[str, Any]:
        if self._seconds is None:
            self._seconds = self._expected()
        return values if self._seconds is None else {**values, "expected_seconds": self._seconds}

    def _last(self, response: flask.Response, failed: bool) -> Iterator[bytes]:
        """Yield the answer or the error; the id `…:answer` means that nothing more will come."""
        is_final = response.status_code != 202 and (not failed or "X-Job-Lifecycle" in response.headers)
        event_id = f"{self._id}:answer" if is_final else ""
        if failed:
            yield self._end + _event("error", event_id, _error_object(response))
        else:
            parts = chain((self._end,) if self._end else (), _answer(event_id, response, self._trace))
            yield from parts if len(response.get_data()) > PIECE else (b"".join(parts),)


def _last_event(environ: Mapping[str, Any]) -> str:
    found: str = environ.get(_LAST_EVENT_ID, "")
    return found


def _response(error: Exception) -> flask.Response:
    """Return the response that Flask would make of an error outside of a stream."""
    try:
        return current_app.make_response(current_app.handle_user_exception(error))
    except Exception as unexpected:  # noqa: BLE001 - an error without a handler is logged and answered as a bug
        return current_app.handle_exception(unexpected)


def _error_object(response: flask.Response) -> Any:
    """Return an error's body as an object; the body of 401 is a string."""
    body = response.get_json(force=True)
    status = response.status_code
    return body if isinstance(body, dict) else {"message": body, "statusCode": status, "status": status}


def _event(name: str, event_id: str, data: Any) -> bytes:
    return _head(name, event_id) + dumps(data) + b"\n\n"


def _head(name: str, event_id: str) -> bytes:
    lines = [f"event: {name}", *([f"id: {event_id}"] if event_id else []), "data: "]
    return "\n".join(lines).encode()


def _answer(event_id: str, response: flask.Response, trace: Trace) -> Iterator[bytes]:
    """Yield the event of an answer in pieces: a body can be six times as long as text."""
    response.headers["Server-Timing"] = trace.server_timing()
    values: dict[str, list[str]] = {}
    for name, value in response.headers:
        values.setdefault(name, []).append(value)
    headers = {name: each[0] if len(each) == 1 else each for name, each in values.items()}
    body = response.get_data()
    yield _head("answer", event_id) + dumps({"status": response.status_code, "headers": headers})[:-1] + b',"body":"'
    pieces = (body[start : start + PIECE] for start in range(0, len(body), PIECE))
    try:
        body.decode()  # the text is not kept: it can take four times the memory that is counted for the answer
    except UnicodeDecodeError:
        yield from map(base64.b64encode, pieces)
        yield b'","isBase64Encoded":true}\n\n'
    else:
        for text in codecs.iterdecode(pieces, "utf-8"):
            yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
        yield b'"}\n\n'
