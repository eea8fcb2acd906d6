"""Define the Flask blueprint: every route, every error handler, and the headers of all answers."""

import re
from typing import Any, TypeVar

import flask
from flask import Blueprint, g, request
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, NotFound

from app import errors
from app.api import jobs, responses, tasks, workflows
from app.api.compression import compress, may_be_compressed
from app.api.conditional import is_known, make_not_modified
from app.api.openapi import document
from app.api.query import Query
from app.api.request import current_environ, current_services
from app.api.responses import Response, error_response, json_response
from app.api.sending import held_until_sent
from app.health.status import original_status
from app.runs.job_in_errors import Crashed
from app.telemetry.tokens import cut_path, names_token
from app.telemetry.trace import current
from app.telemetry.wsgi import raw_path, wsgi_text
from app.theeye.callers import KINDS
from app.theeye.jobs import Job

AnyResponse = TypeVar("AnyResponse", bound=flask.Response)

blueprint = Blueprint("sync", __name__)

# An encoded separator, an empty segment, `.` or `..`: some hosts (Apache) decode or remove these.
_ODD_PATH = re.compile(r"%2f|//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)

blueprint.add_url_rule("/<customer>/task", "list_tasks", tasks.list_tasks, methods=["GET"])
blueprint.add_url_rule("/<customer>/workflow", "list_workflows", workflows.list_workflows, methods=["GET"])
for _kind in KINDS:
    _jobs = f"/<customer>/{_kind}/<{_kind}>/job"
    blueprint.add_url_rule(_jobs, f"run_{_kind}", jobs.run, methods=["POST"])
    blueprint.add_url_rule(f"{_jobs}/<job>", f"read_{_kind}_job", jobs.read, methods=["GET"])
    blueprint.add_url_rule(f"{_jobs}/<job>", f"cancel_{_kind}_job", jobs.cancel, methods=["DELETE"])


@blueprint.get("/api/status")
def status() -> Response:
    """Answer like the original's status page."""
    return json_response(200, original_status())


@blueprint.get("/healthz")
def alive() -> Response:
    """Answer 200: the process is alive."""
    return json_response(200, {"status": "ok"})


@blueprint.get("/readyz")
def ready() -> Response:
    """Answer whether a task could be run now, and what is down; with `?local`, whether this process serves."""
    local = Query(request.environ.get("QUERY_STRING", "")).flag("local") is True
    status, body = current_services().health.ready(request.environ, local)
    if (trace := current()) is not None:
        trace.is_failure = body["status"] not in ("starting", "stopping")
    return json_response(status, body)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Answer with the OpenAPI document, with the modes of plugins."""
    services = current_services()
    return json_response(200, document(services.formatters.modes, services.settings))


@blueprint.before_app_request
def start_probes() -> None:
    """Start the probes of TheEye in this process, so that `/readyz` has facts to answer from."""
    current_services().health.begin()


@blueprint.app_url_value_preprocessor
def match_no_odd_path(endpoint: str | None, segments: dict[str, Any] | None) -> None:
    """Answer 404 for an ambiguous path; hooks and error handlers still see the request.

    WSGI's PATH_INFO is decoded: an encoded slash looks like a separator there, and hosts may resolve dot segments.
    The routes of extensions (`/static/<path:filename>`) are not checked.
    """
    if endpoint is not None and endpoint.rpartition(".")[0] != blueprint.name:
        return
    environ = current_environ()
    odd = _ODD_PATH.search(raw_path(environ)) or any(map(_is_odd, (segments or {}).values()))
    if odd or names_token(_path(environ)):  # a token in the path must not go on to TheEye in a URL
        request.routing_exception, request.url_rule = NotFound(), None


@blueprint.after_app_request
def finish(response: AnyResponse) -> AnyResponse:
    """Finish any answer. This is one hook, since Flask inspects each of them for each request."""
    environ = current_environ()
    length = _send_no_more_than_needed(response, environ)
    held_until_sent(environ).close_if_small(length)
    _add_common_headers(response, environ)
    return response


def _send_no_more_than_needed(response: flask.Response, environ: dict[str, Any]) -> int | None:
    """Answer 304 if the client has the answer already, else compress it; return its length, None if it is unknown."""
    length = responses.length_of(response)
    is_compressible = may_be_compressed(response, length)
    if is_compressible:
        response.vary.add("Accept-Encoding")
    if is_known(response, environ):
        make_not_modified(response)
    elif is_compressible:
        compress(response)
    else:
        return length
    return responses.length_of(response)


def _add_common_headers(response: flask.Response, environ: dict[str, Any]) -> None:
    """Add the common headers, before the answer's own."""
    headers, origins = response.headers, current_services().settings.cors_origins
    common = responses.common_headers(environ["REQUEST_METHOD"], environ.get("HTTP_ORIGIN"), origins)
    own = list(headers)
    if own[: len(common)] == common:  # `crashed` has added them
        return
    ours = {name for name, _ in common} - {"Vary"}
    for name in [name for name, _ in own if name in ours]:  # set by a hook
        del headers[name]
    headers[:0] = common


@blueprint.app_errorhandler(errors.SyncError)
def service_error(error: errors.SyncError) -> Response:
    """Answer with an error of the service or of TheEye."""
    return error_response(error)


@blueprint.app_errorhandler(NotFound)
def no_such_path(error: NotFound) -> Response:
    """Answer 404 for a path without a route; answer a preflight on every path."""
    if request.method == "OPTIONS":
        return responses.preflight()
    return error_response(errors.NotFound(f"{cut_path(_path(request.environ))[:200]} not found"))


@blueprint.app_errorhandler(MethodNotAllowed)
def no_such_method(error: MethodNotAllowed) -> Response:
    """Answer 405 for a method that the path does not support."""
    return error_response(errors.MethodNotAllowed(request.method, error.valid_methods or ()))


@blueprint.app_errorhandler(HTTPException)
def refused(error: HTTPException) -> Response:
    """Answer any other refusal by Flask, an extension or a hook, with its headers such as Retry-After."""
    status = error.code or 400
    code = errors.BadRequest.code if status < 500 else ""
    response = error_response(errors.BadRequest(error.name, status=status, code=code))
    response.headers.extend(pair for pair in error.get_headers(request.environ) if pair[0] != "Content-Type")
    return response


@blueprint.app_errorhandler(InternalServerError)
def crashed(error: InternalServerError) -> Response:
    """Answer 500 after an unexpected error, which Flask has logged and sent as a signal (Sentry listens to it)."""
    original, run = error.original_exception, g.get("theeye_sync_run")
    job: errors.Job | None = original.job if isinstance(original, Crashed) else None
    if job is None and run is not None and run.job_id:  # a hook failed after the view
        job = Job(run.job_id)
    response = error_response(errors.SyncError("Internal Server Error", job=job))
    _add_common_headers(response, request.environ)  # after a hook that fails Flask runs no other hooks, ours included
    return response


def _path(environ: dict[str, Any]) -> str:
    """Return the decoded path of the request."""
    return wsgi_text(environ.get("PATH_INFO", ""))


def _is_odd(segment: str) -> bool:
    return segment in (".", "..") or not segment.isprintable() or "/" in segment
