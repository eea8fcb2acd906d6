"""Run a task, fetch its job's answer later, cancel it: one method each, from a request to a response."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from urllib.parse import quote

from app import errors
from app.api import responses as http
from app.api.body import for_supervisor
from app.api.formatting import render
from app.api.incoming import read_body, read_request
from app.api.query import NOT_THE_CALLERS, OURS
from app.api.replies import Replies
from app.api.request import Request
from app.runs.asked import Asked, Order
from app.runs.idempotency import read_key
from app.runs.runs import telling
from app.services import Services
from app.theeye.client import Job, has_ended
from app.waiter.clients import Client
from formatters import Context

CANCEL_SECONDS = 5.0  # how long a cancelled job may take to end


class Jobs:
    """What can be asked about jobs. Every method raises SyncError for what is answered with an error."""

    def __init__(self, services: Services, replies: Replies) -> None:
        """The services are shared by all requests."""
        self._services = services
        self._replies = replies
        self._not_arguments = OURS | NOT_THE_CALLERS | services.formatters.queries

    def run(self, request: Request, customer: str, task: str) -> http.Response:
        """Runs a task, waits for its job and answers in the mode that the query asks for."""
        services = self._services
        with self._parked(request, customer, task) as (asked, client):
            received = read_body(request, services.settings.max_body, client)
            body = for_supervisor(received, request.header("CONTENT_TYPE") or "")
            arguments = asked.query.without(self._not_arguments)
            key = read_key(request.header("HTTP_IDEMPOTENCY_KEY"), asked.session, task, arguments, body)
            run = services.runs.run(asked, Order(task, arguments, body, key), client)
        late = errors.Accepted if asked.budget.respond_async else errors.TimeIsUp
        headers = [("Idempotency-Replayed", "true")] if run.replayed else []
        return self._answer(request, run.job, asked, late, (customer, "task", task, "job", run.job["id"]), headers)

    def read(self, request: Request, customer: str, task: str, job: str) -> http.Response:
        """The answer that the POST would have given, later."""
        waiter = self._services.waiter
        with self._parked(request, customer, task, job) as (asked, client), _hiding():
            target = asked.target(0.0 if asked.budget.at_once else asked.budget.seconds)
            since = waiter.listen()
            found = _owned(waiter.fetch(job, target, client), task, job, asked)
            if not has_ended(found.get("lifecycle")) and waiter.left(target.deadline) > 0:
                found = waiter.wait(found, target, client, since)
        return self._answer(request, found, asked, errors.Accepted, (customer, "task", task, "job", job), [])

    def cancel(self, request: Request, customer: str, task: str, job: str) -> http.Response:
        """Cancels a job. TheEye says yes to any cancel, so what became of the job is looked at."""
        services = self._services
        with self._parked(request, customer, task, job) as (asked, _), _hiding():
            target = asked.target(CANCEL_SECONDS)
            since = services.waiter.listen()
            found = _owned(services.waiter.fetch(job, target, Client()), task, job, asked)
            if has_ended(found.get("lifecycle")):
                raise errors.AlreadyEnded("The job had already ended", job=found)
            services.supervisor.cancel(asked.session.customer, job, asked.token, asked.trace.headers)
            found = services.waiter.wait(found, target, Client(), since, look_first=True)
        if not has_ended(found.get("lifecycle")):
            raise errors.Accepted(found, self._result_url(request, asked, (customer, "task", task, "job", job)))
        if found.get("state") != "canceled":
            raise errors.AlreadyEnded("The job had ended before it could be cancelled", job=found)
        return http.response(204, b"", "", [*self._replies.common(request), *http.job_headers(job, found)])

    def _answer(
        self,
        request: Request,
        job: Job,
        asked: Asked,
        late: type[errors.TimeIsUp],
        path: tuple[str, ...],
        headers: http.Headers,
    ) -> http.Response:
        """The ended job in the mode asked for. Raises `late` where it has not ended."""
        ended = has_ended(job.get("lifecycle"))
        if applied := asked.budget.applied(accepted=not ended and late is errors.Accepted):
            headers = [*headers, ("Preference-Applied", applied)]
        if not ended:
            raise late(job, self._result_url(request, asked, path), headers)
        with telling(job):
            known = [*self._replies.common(request), *http.job_headers(job["id"], job), *headers]
            context = Context({**job}, asked.query.first, accept=request.header("HTTP_ACCEPT") or "")
            return _timed(asked, context, known)

    def _result_url(self, request: Request, asked: Asked, path: tuple[str, ...]) -> str:
        """Where the same answer will be, in the same mode and without the token."""
        mode = asked.query.only(self._services.formatters.queries)
        address = "/".join([quote(request.prefix), *(quote(segment, safe="", errors="replace") for segment in path)])
        return f"{address}?{mode}" if mode else address

    @contextmanager
    def _parked(self, request: Request, customer: str, task: str, job: str = "") -> Iterator[tuple[Asked, Client]]:
        """A request that has a place, and what follows when its token is refused or its client goes."""
        services, trace = self._services, request.trace
        trace.customer, trace.task, trace.job = customer, task, job
        with services.waiter.place(request.socket) as client:
            asked = read_request(request, services, customer)
            try:
                yield asked, client
            except errors.Unauthorized:
                services.sessions.forget(asked.token)
                raise
            except errors.ClientGone as error:
                if asked.cancels and error.job is not None:
                    job = error.job["id"]
                    services.cancellations.later(asked.session.customer, job, asked.token, trace.headers)
                raise


def _timed(asked: Asked, context: Context, known: http.Headers) -> http.Response:
    """The job's own answer, and how long it took to make."""
    trace, began = asked.trace, perf_counter()
    trace.job = context.job["id"]
    try:
        response = render(asked.formatter, context, known)
    finally:
        trace.format = perf_counter() - began
    trace.by = "job"
    return response


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
