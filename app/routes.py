"""The HTTP interface: each view reads the request, lets others do the work, and renders what came out."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchRoute

from app import errors, health, http
from app.payload import for_supervisor
from app.query import NOT_THE_CALLERS, OURS, Query
from app.rendering import render
from app.services import Services
from app.session import token_of
from app.theeye import Job, has_ended
from app.waiter import Target
from formatters import Context

BODY_SECONDS = 10.0  # how long a client may keep us waiting for the next piece of its body

log = logging.getLogger("theeye_sync")


def blueprint(services: Services) -> Blueprint:
    """All routes and error handlers, over the given services."""
    views = Views(services)
    routes = Blueprint("sync", __name__)
    routes.add_url_rule("/<customer>/task/<task>/job", view_func=views.run_task, methods=["POST"])
    routes.add_url_rule("/api/status", view_func=views.status)
    routes.add_url_rule("/healthz", view_func=views.alive)
    routes.add_url_rule("/readyz", view_func=views.ready)
    routes.before_app_request(views.before)
    routes.app_errorhandler(errors.SyncError)(views.failed)
    routes.app_errorhandler(HTTPException)(views.refused)
    routes.app_errorhandler(Exception)(views.crashed)
    return routes


class Views:
    """The views, and what all answers have in common."""

    def __init__(self, services: Services) -> None:
        """The services are shared by all requests."""
        self._services = services
        self._settings = services.settings
        self._cors = http.Cors(services.settings.cors_origins)
        self._not_arguments = OURS | NOT_THE_CALLERS | services.formatters.queries

    def before(self) -> Response | None:
        """Preflights are answered everywhere and to everyone, odd path segments nowhere."""
        if request.method == "OPTIONS":
            return http.response(204, b"", "", self._cors.headers(request.headers.get("Origin"), preflight=True))
        for segment in (request.view_args or {}).values():
            if segment in (".", "..") or not segment.isprintable() or "/" in segment:
                raise errors.NotFound(f"{_shown_path()} not found")
        return None

    def run_task(self, customer: str, task: str) -> Response:
        """Runs a task, waits for its job and answers in the mode that the query asks for."""
        services = self._services
        query = Query(request.environ.get("QUERY_STRING", ""))
        formatter = services.formatters.choose(query.first)
        token = token_of(request.headers.get("Authorization"), query, self._settings.query_token)
        session = services.sessions.get(token, customer)
        body = for_supervisor(_body(self._settings.max_body), request.headers.get("Content-Type", ""))
        arguments = query.without(self._not_arguments)
        with services.waiter.place(), self._forgetting(token):
            since = services.waiter.listen()
            created = services.supervisor.create(session.customer, task, token, arguments, body)
            with _telling(created):
                deadline = monotonic() + self._settings.wait_seconds
                job = services.waiter.wait(created, Target(session.customer, token, deadline), since)
        headers = [*self._common(), *http.job_headers(created["id"], job)]
        with _telling(job):
            return render(formatter, Context(job, query.first), headers)

    def status(self) -> Response:
        """The original's status page."""
        return self._page(200, health.status())

    def alive(self) -> Response:
        """200 for as long as the process answers at all."""
        return self._page(200, {"status": "ok"})

    def ready(self) -> Response:
        """Whether a task could be run now."""
        return self._page(*self._services.health.ready())

    def failed(self, error: errors.SyncError) -> Response:
        """An error of ours or TheEye's, in TheEye's shape."""
        headers = [*self._common(), *error.headers.items()]
        if error.job is not None:
            ended = error.job if has_ended(error.job.get("lifecycle")) else None
            headers += http.job_headers(error.job["id"], ended)
        return http.json_response(error.status, error.body(), headers)

    def refused(self, error: HTTPException) -> Response:
        """What the framework refuses: an unknown path, a wrong method."""
        return self.failed(_translated(error))

    def crashed(self, error: Exception) -> Response:
        """A bug of ours: told in the log, not to the client."""
        log.error("unexpected error", exc_info=error)
        return self.failed(errors.SyncError("Internal Server Error"))

    def _page(self, status: int, value: Any) -> Response:
        return http.json_response(status, value, self._common())

    def _common(self) -> http.Headers:
        headers = self._cors.headers(request.headers.get("Origin"))
        if request.method in ("GET", "HEAD"):
            headers.append(("Cache-Control", "no-store"))
        return headers

    @contextmanager
    def _forgetting(self, token: str) -> Iterator[None]:
        """A token that the supervisor refuses is asked about again the next time."""
        try:
            yield
        except errors.Unauthorized:
            self._services.sessions.forget(token)
            raise


@contextmanager
def _telling(job: Job) -> Iterator[None]:
    """Whatever goes wrong from here on, the client is told the job's id."""
    try:
        yield
    except errors.SyncError as error:
        error.job = error.job or job
        raise
    except Exception as error:
        log.error("unexpected error with job %s", job["id"], exc_info=error)
        raise errors.SyncError("Internal Server Error", job=job) from None


def _body(most: int) -> bytes:
    """The request's whole body. Raises TooLarge, or BadRequest where less of it came than was promised."""
    announced = request.content_length
    if announced is not None and announced > most:
        raise errors.TooLarge(f"The body is larger than {most} bytes")
    try:
        body = _read_body(most + 1)
    except (ClientDisconnected, OSError):
        body = b""
    if len(body) > most:
        raise errors.TooLarge(f"The body is larger than {most} bytes")
    if announced is not None and len(body) != announced:
        raise errors.BadRequest("The body ended before its Content-Length, or stalled")
    return body


def _read_body(most: int) -> bytes:
    """At most so many bytes. A client that stalls is cut off, where the host shows us its socket (gunicorn)."""
    sock = request.environ.get("gunicorn.socket")
    if sock is None or not (request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ):
        return request.stream.read(most)
    before = sock.gettimeout()
    sock.settimeout(BODY_SECONDS)
    try:
        return request.stream.read(most)
    finally:
        sock.settimeout(before)


def _translated(error: HTTPException) -> errors.SyncError:
    if isinstance(error, NoSuchRoute):
        return errors.NotFound(f"{_shown_path()} not found")
    if isinstance(error, MethodNotAllowed):
        return errors.MethodNotAllowed(request.method, error.valid_methods or ())
    return errors.BadRequest(error.name, status=error.code or 400)


def _shown_path() -> str:
    return request.path[:200]
