"""Which request is answered by whom: Flask's routes, and the short way past them that most requests take."""

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import flask
from flask import Blueprint
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchRoute

from app import errors, health
from app.api import responses as http
from app.api.jobs import Jobs
from app.api.openapi import document
from app.api.replies import Replies, no_such_path
from app.api.request import Request
from app.api.responses import Wsgi
from app.services import Services
from formatters import dumps
from formatters.contract import JSON_TYPE

Page = Callable[[Request], http.Response]

# A separator that was encoded, an empty segment, a `.` or `..`: some hosts (Apache) decode and tidy these away.
_ODD_PATH = re.compile(r"%2f|//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_PLAIN = re.compile(r"/(?!\.{1,2}/)([A-Za-z0-9._~-]+)/task/(?!\.{1,2}/)([A-Za-z0-9._~-]+)/job")


class Shortcut:
    """A plain `POST /{customer}/task/{task}/job`, which costs a quarter less without Flask; it gets the same answer."""

    def __init__(self, flask_app: Wsgi, jobs: Jobs, replies: Replies) -> None:
        """`flask_app` gets all other requests."""
        self._flask_app = flask_app
        self._replies = replies
        self._jobs = jobs

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers the request, or lets Flask do it."""
        plain = _PLAIN.fullmatch(environ.get("PATH_INFO", "")) if environ["REQUEST_METHOD"] == "POST" else None
        request = Request(environ)
        if plain is None or not request.is_as_sent:
            return self._flask_app(environ, start_response)
        status, headers, body = self._replies.safely(request, lambda: self._jobs.run(request, plain[1], plain[2]))
        start_response(status, headers)
        return [body] if body else []


def blueprint(services: Services, jobs: Jobs, replies: Replies) -> Blueprint:
    """All routes and error handlers, over the given services."""
    routes = Blueprint("sync", __name__)

    def add(path: str, method: str, answer: Callable[..., http.Response], name: str) -> None:
        def view(**segments: str) -> flask.Response:
            request = Request(flask.request.environ)
            return _flask(replies.safely(request, lambda: answer(request, **segments)))

        routes.add_url_rule(path, name, view, methods=[method])

    add("/<customer>/task/<task>/job", "POST", jobs.run, "run_task")
    add("/<customer>/task/<task>/job/<job>", "GET", jobs.read, "read_job")
    add("/<customer>/task/<task>/job/<job>", "DELETE", jobs.cancel, "cancel_job")
    for path, page in pages(services, replies).items():
        add(path, "GET", page, page.__name__)
    routes.before_app_request(lambda: _before(replies))
    routes.app_errorhandler(Exception)(lambda error: _flask(_refused(replies, error)))
    return routes


def pages(services: Services, replies: Replies) -> dict[str, Page]:
    """What the service tells of itself."""

    def status(request: Request) -> http.Response:
        return replies.page(request, 200, health.status())

    def alive(request: Request) -> http.Response:
        return replies.page(request, 200, {"status": "ok"})

    def ready(request: Request) -> http.Response:
        return replies.page(request, *services.health.ready(request.environ))

    def openapi(request: Request) -> http.Response:
        return http.response(200, description(), JSON_TYPE, replies.common(request))

    @cache
    def description() -> bytes:  # the modes do not change while the service runs
        return dumps(document(services.formatters.modes, services.settings))

    return {"/api/status": status, "/healthz": alive, "/readyz": ready, "/openapi.json": openapi}


def _before(replies: Replies) -> flask.Response | None:
    """Preflights are answered everywhere and to everyone, odd path segments nowhere."""
    request = Request(flask.request.environ)
    if request.method == "OPTIONS":
        return _flask(replies.preflight(request))
    segments = (flask.request.view_args or {}).values()
    if _ODD_PATH.search(request.raw_path) or any(map(_is_odd, segments)):
        return _flask(replies.failed(request, no_such_path(request)))
    return None


def _is_odd(segment: str) -> bool:
    return segment in (".", "..") or not segment.isprintable() or "/" in segment


def _refused(replies: Replies, error: Exception) -> http.Response:
    """What Flask refuses: an unknown path, a wrong method."""
    request = Request(flask.request.environ)
    if isinstance(error, NoSuchRoute):
        return replies.failed(request, no_such_path(request))
    if isinstance(error, MethodNotAllowed):
        return replies.failed(request, errors.MethodNotAllowed(request.method, error.valid_methods or ()))
    if isinstance(error, HTTPException) and (error.code or 400) < 500:  # above: an error whose answer cannot be made
        return replies.failed(request, errors.BadRequest(error.name, status=error.code or 400))
    return replies.crashed(request, error)


class _FlaskResponse(flask.Response):
    default_mimetype = None  # a response without a body names no type


def _flask(response: http.Response) -> flask.Response:
    return _FlaskResponse(response.body, response.status, response.headers)
