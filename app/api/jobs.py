"""Run a task, fetch its job's answer later, cancel its job: the views about jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic, perf_counter

from flask import request

from app import errors
from app.api import events, strict
from app.api.addresses import job_address
from app.api.admission import admit, consequences
from app.api.arguments import for_supervisor
from app.api.body import read_body
from app.api.codings import decode
from app.api.formatting import render
from app.api.query import BLOCKED_NAMES, SERVICE_NAMES, STRICT
from app.api.request import JobRequest, current_services
from app.api.responses import Headers, Response, job_headers, respond
from app.api.sending import held_until_sent
from app.runs.idempotency import read_key
from app.runs.runs import RunRequest, job_in_errors
from app.theeye.jobs import Job
from app.waiter.clients import Client
from app.waiter.following import Follower, Following, outcome
from formatters import Context

RESULT = "result"  # the mode that shows what the agent has reported
_CANCELED_LATE = ("terminated", "in_progress")  # TheEye may set the state of a cancelled job later, or never
CANCEL_SECONDS = 5.0  # that a cancelled job may take to end


def run(customer: str, task: str) -> Response:
    """Run a task, wait for its job, and answer in the mode that the query asks for."""
    events.refuse_last_event()
    wanted, client = admit(customer, task)
    return _outcome_or_events(_run(wanted, client), wanted)


def _run(wanted: JobRequest, client: Client) -> Following[Response]:
    with consequences(wanted):
        ran = yield from current_services().runs.follow(_run_request(wanted), client)
    late = errors.Accepted if wanted.budget.respond_async else errors.TimeIsUp
    headers = [("Idempotency-Replayed", "true")] if ran.replayed else []
    return _answer(wanted, ran.job, late, headers)


def _run_request(wanted: JobRequest) -> RunRequest:
    """Read what is to be run, and its key. Raise BadRequest, TooLarge, TooSlow or UnsupportedType."""
    services, environ, session, task = current_services(), request.environ, wanted.session, wanted.task
    most = services.settings.max_body
    received = decode(read_body(environ, most), environ.get("HTTP_CONTENT_ENCODING", ""), most)
    body = for_supervisor(received, environ.get("CONTENT_TYPE", ""), most)
    query = wanted.query.without(SERVICE_NAMES | BLOCKED_NAMES | services.formatters.queries)
    return RunRequest(
        wanted.caller,
        session.customer_id,
        task,
        query,
        body,
        key=read_key(environ.get("HTTP_IDEMPOTENCY_KEY"), session, task, query, body),
        seconds=wanted.budget.seconds,
        at_once=wanted.budget.at_once,
        watched=events.are_wanted(),
    )


def read(customer: str, task: str, job: str) -> Response:
    """Answer as the POST would have answered, later, in any mode."""
    if events.are_complete(job):
        return respond(204, b"", "", [])
    wanted, client = admit(customer, task, job)
    return _outcome_or_events(_read(wanted, client, job), wanted)


def _read(wanted: JobRequest, client: Client, job: str) -> Following[Response]:
    services = current_services()
    waiter, durations = services.waiter, services.durations
    with consequences(wanted), _gone_as_not_found():
        deadline = monotonic() + (0.0 if wanted.budget.at_once else wanted.budget.seconds)
        follower = Follower(wanted.caller, client, deadline, events.are_wanted())
        since = waiter.listen()
        found = _owned(waiter.fetch(follower, job), wanted)
        durations.recall(wanted.session.customer_id, wanted.task)
        if found.has_ended or waiter.left(deadline) <= 0:
            yield found
        else:
            found = yield from waiter.follow(follower, found, since)
        durations.learn(wanted.session.customer_id, wanted.task, found)
    return _answer(wanted, found, errors.Accepted, [])


def cancel(customer: str, task: str, job: str) -> Response:
    """Cancel a job, then read it: TheEye says yes to any cancel, whether it had an effect or not."""
    services = current_services()
    waiter = services.waiter
    wanted, _ = admit(customer, task, job)
    with consequences(wanted), _gone_as_not_found():
        follower = Follower(wanted.caller, Client(), monotonic() + CANCEL_SECONDS)
        since = waiter.listen()
        found = _owned(waiter.fetch(follower, job), wanted)
        if found.has_ended:
            raise errors.AlreadyEnded("The job had already ended", job=found)
        with job_in_errors(found.without_document()):
            services.supervisor.cancel(wanted.caller, job)
            found = waiter.wait(follower, found, since, look_first=True)
    if not found.has_ended:
        raise errors.Accepted(found, found.age, _location(wanted, job), expected=_expected(wanted))
    if "canceled" not in (found.state, found.lifecycle) and (found.lifecycle, found.state) != _CANCELED_LATE:
        raise errors.AlreadyEnded("The job had ended before it could be cancelled", job=found)
    return respond(204, b"", "", job_headers(found))


def _outcome_or_events(following: Following[Response], wanted: JobRequest) -> Response:
    """Return the outcome, or where the client prefers events a stream."""
    if not events.are_wanted():
        return outcome(following)
    return events.stream(following, partial(_location, wanted), partial(_expected, wanted))


def _answer(wanted: JobRequest, job: Job, late: type[errors.TimeIsUp], headers: Headers) -> Response:
    """Answer with the ended job in the mode asked for. Raise `late` where it has not ended."""
    if applied := wanted.budget.applied(accepted=not job.has_ended and late is errors.Accepted):
        headers = [*headers, ("Preference-Applied", applied)]
    location = partial(_location, wanted, job.id)
    if not job.has_ended:
        raise late(job, job.age, location(), headers, expected=_expected(wanted))
    response = _rendered(wanted, job, headers)
    if (job.exit_code or response.status_code >= 400) and response.data in (b"null", b"[]"):
        response.headers.extend(_link_to_result(wanted, job.id))
    try:
        held_until_sent(request.environ).enter_context(current_services().answers.hold(response.content_length or 0))
    except errors.TooBusy:
        words = "The job has ended, but other answers fill the memory: fetch it later"
        raise late(job, job.age, location(), headers, words) from None
    wanted.caller.trace.by = "job"
    return response


def _expected(wanted: JobRequest) -> float | None:
    """Return how many seconds a run of the task usually takes; None where too few are known."""
    return current_services().durations.expected(wanted.session.customer_id, wanted.task)


def _rendered(wanted: JobRequest, job: Job, headers: Headers) -> Response:
    """Return the ended job in the mode asked for."""
    trace, began = wanted.caller.trace, perf_counter()
    trace.job = job.id
    try:
        with job_in_errors(job):
            query = wanted.query
            context = Context({**job.document}, query.first, accept=wanted.accept, repeated=query.repeated)
            has_crashed = partial(strict.has_crashed, job, wanted.formatter.name) if wanted.is_strict else lambda: False
            return render(wanted.formatter, context, [*job_headers(job), *headers], has_crashed)
    finally:
        trace.format = perf_counter() - began


def _location(wanted: JobRequest, job: str) -> str:
    """Return where the same answer will be, in the same mode and without the token."""
    mode = wanted.query.only(current_services().formatters.queries | {STRICT})
    return job_address(wanted.customer, wanted.task, job, mode)


def _link_to_result(wanted: JobRequest, job: str) -> Headers:
    """Return the Link header (RFC 8288) of an answer that says nothing: what the agent has reported may say more."""
    if RESULT not in current_services().formatters.queries or wanted.formatter.name == RESULT:
        return []
    return [("Link", f'<{job_address(wanted.customer, wanted.task, job, RESULT)}>; rel="describedby"')]


@contextmanager
def _gone_as_not_found() -> Iterator[None]:
    """Answer alike for a job that is gone, one that never was, and somebody else's."""
    try:
        yield
    except errors.JobGone:
        raise errors.NotFound("Job not found") from None


def _owned(found: Job, wanted: JobRequest) -> Job:
    """Return the job as found. Raise JobGone when it is not of the path's task and the caller's customer.

    A document may lack its task or its customer, as that of a job which failed while it was created, but not both.
    """
    document, task = found.document, wanted.task
    task_of_job = document.get("task")
    of_task = document.get("task_id") or (task_of_job.get("id") if isinstance(task_of_job, dict) else None) or None
    of_customer = document.get("customer_id")
    is_ours = str(of_task or task).lower() == task.lower() and of_customer in (None, wanted.session.customer_id)
    if not is_ours or (of_task is None and of_customer is None):
        raise errors.JobGone("The job is another's")
    return found
