"""Answer with server-sent events (HTML Living Standard, section 9.2) while a job runs: a wait that one can watch."""

import base64
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import flask
from flask import current_app, request, stream_with_context

from app import errors
from app.api.responses import Headers, Response, status_line, visible
from app.telemetry.trace import Trace, current
from app.theeye.jobs import Job
from app.waiter.following import Following, outcome
from formatters.jsontext import dumps

EVENTS = "text/event-stream"
LAST_EVENT = "Last-Event-ID"
BEAT = b": the job has not ended\n\n"  # a comment: clients skip it, and no proxy takes the connection for an idle one
PIECE = 48 << 10  # of a body at once; a multiple of 3, so that pieces in base64 make one text


def are_wanted() -> bool:
    """Return whether the client prefers events to an answer."""
    name, quality = next(iter(request.accept_mimetypes), ("", 0.0))
    return name.partition(";")[0] == EVENTS and quality > 0 and request.method in ("GET", "POST")


def refuse_last_event() -> None:
    """Refuse to run a task for a client that takes up a stream: the task would run again. Raise BadRequest."""
    if LAST_EVENT in request.headers:
        raise errors.BadRequest(f"{LAST_EVENT} is for a GET of the job; nothing was started")


def are_complete(job_id: str) -> bool:
    """Return whether the client has had the last event of a job: an EventSource that is told 204 stops."""
    return are_wanted() and _last_event() == f"{visible(job_id)}:answer"


def answer(following: Following[Response], address: Callable[[str], str]) -> Response:
    """Return the outcome, or where the client prefers events a stream of what is seen, with the outcome at its end.

    What goes wrong before the job is known is raised. `address` returns where the answer of a job can be fetched later.
    """
    if not are_wanted():
        return outcome(following)
    job, trace = next(following), current() or Trace()
    assert job is not None, "no sign of life comes before the job"
    trace.is_streamed = True
    headers: Headers = [("Content-Type", EVENTS), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")]
    headers.append(("X-Job-Id", visible(job.id)))
    return Response(stream_with_context(_events(job, following, address(job.id), trace)), status_line(200), headers)


def _events(job: Job, following: Following[Response], location: str, trace: Trace) -> Iterator[bytes]:
    """Yield all events of a job; whoever closes this tells that the client has gone."""
    job_id = visible(job.id)
    try:
        yield _event("job", f"{job_id}:", {"id": job.id, "location": location})
        response = yield from _changes(job, job_id, following)
        failed = False
    except GeneratorExit:
        trace.status, trace.code = errors.ClientGone.status, errors.ClientGone.code
        raise
    except Exception as error:  # noqa: BLE001 - Flask's handlers make a response of any error
        response = _response(error)
        failed = response.status_code >= 400
    finally:
        with suppress(errors.ClientGone):
            following.close()
    trace.status = response.status_code
    final = response.status_code != 202 and (not failed or "X-Job-Lifecycle" in response.headers)
    event_id = f"{job_id}:answer" if final else ""
    if failed:
        yield _event("error", event_id, _error_object(response))
    else:
        yield from _answer(event_id, response, trace)


def _changes(seen: Job | None, job_id: str, following: Following[Response]) -> Generator[bytes, None, flask.Response]:
    """Yield an event for each new lifecycle, and the beats; return the outcome."""
    told = _last_event()
    while True:
        if seen is None:
            yield BEAT
        elif seen.lifecycle and (event_id := f"{job_id}:{visible(seen.lifecycle)}") != told:
            told = event_id
            yield _event("lifecycle", event_id, {"lifecycle": seen.lifecycle})
        try:
            seen = next(following)
        except StopIteration as end:
            response: Response = end.value
            return response


def _last_event() -> str:
    return request.headers.get(LAST_EVENT, "")


def _response(error: Exception) -> flask.Response:
    """Return the response that Flask makes of an error outside of a stream."""
    try:
        return current_app.make_response(current_app.handle_user_exception(error))
    except Exception as unexpected:  # noqa: BLE001 - it has no handler, and is logged and answered as a bug
        return current_app.handle_exception(unexpected)


def _error_object(response: flask.Response) -> Any:
    """Return an error's body as an object; that of 401 is a string."""
    body = response.get_json(force=True)
    status = response.status_code
    return body if isinstance(body, dict) else {"message": body, "statusCode": status, "status": status}


def _event(name: str, event_id: str, data: Any) -> bytes:
    return _head(name, event_id) + dumps(data) + b"\n\n"


def _head(name: str, event_id: str) -> bytes:
    lines = [f"event: {name}", *([f"id: {event_id}"] if event_id else []), "data: "]
    return "\n".join(lines).encode()


def _answer(event_id: str, response: flask.Response, trace: Trace) -> Iterator[bytes]:
    """Yield the event of an answer in pieces: as text a body is up to six times as long."""
    response.headers["Server-Timing"] = trace.server_timing()
    values = {name: response.headers.getlist(name) for name in response.headers.keys()}  # noqa: SIM118 - else pairs
    headers = {name: value[0] if len(value) == 1 else value for name, value in values.items()}
    body = response.get_data()
    yield _head("answer", event_id) + dumps({"status": response.status_code, "headers": headers})[:-1] + b',"body":"'
    try:
        text = body.decode()
    except UnicodeDecodeError:
        yield from (base64.b64encode(body[start : start + PIECE]) for start in range(0, len(body), PIECE))
        yield b'","isBase64Encoded":true}\n\n'
    else:
        for start in range(0, len(text), PIECE):
            yield json.dumps(text[start : start + PIECE], ensure_ascii=False)[1:-1].encode()
        yield b'"}\n\n'
