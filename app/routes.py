"""The HTTP interface: each view reads the request, lets others do the work, and renders what came out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import errors, health, http
from app.asked import Asked, Order
from app.clients import Client
from app.idempotency import read_key
from app.incoming import client_socket, read_body, read_request
from app.payload import for_supervisor
from app.query import NOT_THE_CALLERS, OURS
from app.rendering import render
from app.replies import Replies, no_such_path
from app.runs import telling
from app.services import Services
from app.theeye import Job, has_ended
from formatters import Context

CANCEL_SECONDS = 5.0  # how long a cancelled job may take to end

# A separator that was encoded, an empty segment, a `.` or `..`: some hosts (Apache) decode and tidy these away.
_ODD_PATH = re.compile(r"%2f|//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_AUTHORITY = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)


def blueprint(services: Services) -> Blueprint:
    """All routes and error handlers, over the given services."""
    replies = Replies(services.settings.cors_origins)
    views = Views(services, replies)
    routes = Blueprint("sync", __name__)
    job = "/<customer>/task/<task>/job/<job>"
    routes.add_url_rule("/<customer>/task/<task>/job", view_func=views.run_task, methods=["POST"])
    routes.add_url_rule(job, view_func=views.read_job, methods=["GET"])
    routes.add_url_rule(job, view_func=views.cancel_job, methods=["DELETE"])
    routes.add_url_rule("/api/status", view_func=views.status)
    routes.add_url_rule("/healthz", view_func=views.alive)
    routes.add_url_rule("/readyz", view_func=views.ready)
    routes.before_app_request(views.before)
    routes.app_errorhandler(errors.SyncError)(replies.failed)
    routes.app_errorhandler(HTTPException)(replies.refused)
    routes.app_errorhandler(Exception)(replies.crashed)
    return routes


class Views:
    """One method a route."""

    def __init__(self, services: Services, replies: Replies) -> None:
        """The services are shared by all requests."""
        self._services = services
        self._replies = replies
        self._not_arguments = OURS | NOT_THE_CALLERS | services.formatters.queries

    def before(self) -> Response | None:
        """Preflights are answered everywhere and to everyone, odd path segments nowhere."""
        if request.method == "OPTIONS":
            return self._replies.preflight()
        if _ODD_PATH.search(_raw_path()):
            raise no_such_path()
        for segment in (request.view_args or {}).values():
            if segment in (".", "..") or not segment.isprintable() or "/" in segment:
                raise no_such_path()
        return None

    def run_task(self, customer: str, task: str) -> Response:
        """Runs a task, waits for its job and answers in the mode that the query asks for."""
        services = self._services
        with self._parked(customer) as (asked, client):
            body = for_supervisor(read_body(services.settings.max_body), request.headers.get("Content-Type", ""))
            arguments = asked.query.without(self._not_arguments)
            key = read_key(request.headers.get("Idempotency-Key"), asked.session, task, arguments, body)
            run = services.runs.run(asked, Order(task, arguments, body, key), client)
        late = errors.Accepted if asked.budget.respond_async else errors.TimeIsUp
        headers = [("Server-Timing", f"queue;dur={run.queued * 1000:.0f}")] if run.queued else []
        if run.replayed:
            headers.append(("Idempotency-Replayed", "true"))
        return self._answer(run.job, asked, late, (customer, "task", task, "job", run.job["id"]), headers)

    def read_job(self, customer: str, task: str, job: str) -> Response:
        """The answer that the POST would have given, later."""
        waiter = self._services.waiter
        with self._parked(customer) as (asked, client), _hiding():
            target = asked.target(0.0 if asked.budget.at_once else asked.budget.seconds)
            since = waiter.listen()
            found = _owned(waiter.fetch(job, target, client), task, job, asked)
            if not has_ended(found.get("lifecycle")) and waiter.left(target.deadline) > 0:
                found = waiter.wait(found, target, client, since)
        return self._answer(found, asked, errors.Accepted, (customer, "task", task, "job", job), [])

    def cancel_job(self, customer: str, task: str, job: str) -> Response:
        """Cancels a job. TheEye says yes to any cancel, so what became of the job is looked at."""
        services = self._services
        with self._parked(customer) as (asked, _), _hiding():
            target = asked.target(CANCEL_SECONDS)
            since = services.waiter.listen()
            found = _owned(services.waiter.fetch(job, target, Client()), task, job, asked)
            if has_ended(found.get("lifecycle")):
                raise errors.AlreadyEnded("The job had already ended", job=found)
            services.supervisor.cancel(asked.session.customer, job, asked.token)
            found = services.waiter.wait(found, target, Client(), since, look_first=True)
        if not has_ended(found.get("lifecycle")):
            raise errors.Accepted(found, self._result_url(asked, (customer, "task", task, "job", job)))
        if found.get("state") != "canceled":
            raise errors.AlreadyEnded("The job had ended before it could be cancelled", job=found)
        return http.response(204, b"", "", [*self._replies.common(), *http.job_headers(job, found)])

    def status(self) -> Response:
        """The original's status page."""
        return self._replies.page(200, health.status())

    def alive(self) -> Response:
        """200 for as long as the process answers at all."""
        return self._replies.page(200, {"status": "ok"})

    def ready(self) -> Response:
        """Whether a task could be run now."""
        return self._replies.page(*self._services.health.ready(request.environ))

    def _answer(
        self, job: Job, asked: Asked, late: type[errors.TimeIsUp], path: tuple[str, ...], headers: http.Headers
    ) -> Response:
        """The ended job in the mode asked for. Raises `late` where it has not ended."""
        ended = has_ended(job.get("lifecycle"))
        if applied := asked.budget.applied(accepted=not ended and late is errors.Accepted):
            headers = [*headers, ("Preference-Applied", applied)]
        if not ended:
            raise late(job, self._result_url(asked, path), headers)
        with telling(job):
            known = [*self._replies.common(), *http.job_headers(job["id"], job), *headers]
            context = Context({**job}, asked.query.first, accept=request.headers.get("Accept", ""))
            return render(asked.formatter, context, known)

    def _result_url(self, asked: Asked, path: tuple[str, ...]) -> str:
        """Where the same answer will be, in the same mode and without the token."""
        mode = asked.query.only(self._services.formatters.queries)
        address = "/".join(
            [quote(request.script_root), *(quote(segment, safe="", errors="replace") for segment in path)]
        )
        return f"{address}?{mode}" if mode else address

    @contextmanager
    def _parked(self, customer: str) -> Iterator[tuple[Asked, Client]]:
        """A request that has a place, and what follows when its token is refused or its client goes."""
        services = self._services
        with services.waiter.place(client_socket()) as client:
            asked = read_request(services, customer)
            try:
                yield asked, client
            except errors.Unauthorized:
                services.sessions.forget(asked.token)
                raise
            except errors.ClientGone as error:
                if asked.cancels and error.job is not None:
                    services.cancellations.later(asked.session.customer, error.job["id"], asked.token)
                raise


@contextmanager
def _hiding() -> Iterator[None]:
    """A job that is gone, or never was, or is somebody else's: all alike."""
    try:
        yield
    except errors.JobGone:
        raise errors.NotFound("Job not found") from None


def _owned(found: Job, task: str, job_id: str, asked: Asked) -> Job:
    """The job as found, with its id. Raises JobGone when it is not the path's."""
    task_of_job = found.get("task")
    of_task = found.get("task_id") or (task_of_job.get("id") if isinstance(task_of_job, dict) else None)
    of_customer = found.get("customer_id", asked.session.customer_id)
    if not isinstance(of_task, str) or of_task.lower() != task.lower() or of_customer != asked.session.customer_id:
        raise errors.JobGone("The job is another's")
    return found if isinstance(found.get("id"), str) else {**found, "id": job_id}


def _raw_path() -> str:
    """The path before any decoding, where the host shows it: in the decoded one a `%2F` looks like a separator."""
    raw: str = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or ""
    return _AUTHORITY.sub("", raw.partition("?")[0])
