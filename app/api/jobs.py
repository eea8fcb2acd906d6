"""Define the views about jobs: run a task or workflow, fetch its job's answer later, cancel its job."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic, perf_counter

from flask import g

from app import errors
from app.api import events, strict
from app.api.addresses import job_address
from app.api.admission import Consequences, admit
from app.api.arguments import first_tasks, for_supervisor
from app.api.body import read_body
from app.api.codings import decode
from app.api.formatting import render
from app.api.query import SERVICE_NAMES, STRICT, blocked_names
from app.api.request import JobRequest, current_environ
from app.api.responses import Headers, Response, job_headers, length_of, respond
from app.api.sending import held_until_sent
from app.runs.idempotency import read_key
from app.runs.job_in_errors import JobInErrors
from app.runs.runs import RunRequest
from app.theeye.callers import WORKFLOW, Runnable
from app.theeye.jobs import Job
from app.waiter.bodies import HeldBody
from app.waiter.clients import Client
from app.waiter.following import Follower, Following, outcome
from formatters import Context

RESULT = "result"  # the mode that shows the agent's report
CANCEL_SECONDS = 5.0  # wait so long for the end of a cancelled job


def run(customer: str, **named: str) -> Response:
    """Run the task or workflow, wait for its job, and answer in the mode that the query selects."""
    environ = current_environ()
    events.refuse_last_event(environ)
    wanted, client = admit(environ, customer, _runnable(named))
    return _outcome_or_events(_run(wanted, client), wanted)


def _run(wanted: JobRequest, client: Client) -> Following[Response]:
    with Consequences(wanted):
        request_to_run = g.theeye_sync_run = _run_request(wanted)  # for `crashed`, which tells the client its job
        ran = yield from wanted.services.runs.follow(request_to_run, client)
    late = errors.Accepted if wanted.budget.respond_async else errors.TimeIsUp
    headers = [("Idempotency-Replayed", "true")] if ran.replayed else []
    return _answer(wanted, ran.job, late, headers)


def _run_request(wanted: JobRequest) -> RunRequest:
    """Read body, arguments and key of the request. Raise BadRequest, TooLarge, TooSlow or UnsupportedType."""
    services, environ, caller = wanted.services, wanted.environ, wanted.caller
    most = services.settings.max_body
    held = HeldBody(services.bodies)
    held_until_sent(environ).add(held.release)
    received = decode(read_body(environ, most, held), environ.get("HTTP_CONTENT_ENCODING", ""), most)
    body = for_supervisor(received, environ.get("CONTENT_TYPE", ""), most)
    held.resize(len(body or b""))
    query = wanted.query.without(SERVICE_NAMES | blocked_names(caller.runs.kind) | services.formatters.queries)
    return RunRequest(
        caller,
        query,
        body,
        key=read_key(environ.get("HTTP_IDEMPOTENCY_KEY"), wanted.session, caller.runs, query, body),
        seconds=wanted.budget.seconds,
        at_once=wanted.budget.at_once,
        watched=wanted.watched,
        first_tasks=first_tasks(body, wanted.query) if caller.runs.kind == WORKFLOW else (),
        release=held.release,
    )


def read(customer: str, job: str, **named: str) -> Response:
    """Answer as the POST would have answered, in any mode."""
    environ = current_environ()
    if events.are_complete(environ, job):
        return respond(204, b"", "", [])
    wanted, client = admit(environ, customer, _runnable(named), job)
    return _outcome_or_events(_read(wanted, client, job), wanted)


def _read(wanted: JobRequest, client: Client, job: str) -> Following[Response]:
    waiter, durations = wanted.services.waiter, wanted.services.durations
    with Consequences(wanted), _gone_as_not_found():
        deadline = monotonic() + (0.0 if wanted.budget.at_once else wanted.budget.seconds)
        follower = Follower(wanted.caller, client, deadline, wanted.watched)
        since = waiter.listen()
        found = _owned(waiter.fetch(follower, job), wanted)
        durations.recall(wanted.session.customer_id, wanted.caller.runs.name)
        if found.has_ended or waiter.left(deadline) <= 0:
            yield found
        else:
            found = yield from waiter.follow(follower, found, since)
        durations.learn(wanted.session.customer_id, wanted.caller.runs.name, found)
    return _answer(wanted, found, errors.Accepted, [])


def cancel(customer: str, job: str, **named: str) -> Response:
    """Cancel a job, then read it: TheEye's answer to a cancel does not tell if it had an effect."""
    wanted, _ = admit(current_environ(), customer, _runnable(named), job)
    waiter = wanted.services.waiter
    with Consequences(wanted), _gone_as_not_found():
        follower = Follower(wanted.caller, Client(), monotonic() + CANCEL_SECONDS)
        since = waiter.listen()
        found = _found_to_cancel(lambda: _owned(waiter.fetch(follower, job), wanted))
        if found.has_ended:
            raise errors.AlreadyEnded("The job had already ended", job=found)
        with JobInErrors(found.without_document()):
            wanted.services.runners[wanted.caller.runs.kind].cancel(wanted.caller, found)
            found = _found_to_cancel(partial(waiter.wait, follower, found, since, look_first=True))
    if not found.has_ended:
        raise errors.Accepted(found, found.age, _location(wanted, job), expected=_expected(wanted))
    if not found.was_canceled:
        raise errors.AlreadyEnded("The job had ended before it could be cancelled", job=found)
    return respond(204, b"", "", job_headers(found))


def _outcome_or_events(following: Following[Response], wanted: JobRequest) -> Response:
    """Return the outcome, or a stream if the client prefers events."""
    if not wanted.watched:
        return outcome(following)
    return events.stream(following, partial(_location, wanted), partial(_expected, wanted))


def _answer(wanted: JobRequest, job: Job, late: type[errors.TimeIsUp], headers: Headers) -> Response:
    """Answer with the ended job in the selected mode. Raise `late` if it has not ended."""
    if applied := wanted.budget.applied(accepted=not job.has_ended and late is errors.Accepted):
        headers = [*headers, ("Preference-Applied", applied)]
    location = partial(_location, wanted, job.id)
    if not job.has_ended:
        raise late(job, job.age, location(), headers, expected=_expected(wanted))
    response = _rendered(wanted, job, headers)
    if (job.exit_code or response.status_code >= 400) and response.data in (b"null", b"[]"):
        response.headers.extend(_link_to_result(wanted, job.id))
    answers, size = wanted.services.answers, length_of(response) or 0
    try:
        answers.count(size)
    except errors.TooBusy:
        words = "The job has ended, but other answers fill the memory: fetch it later"
        raise late(job, job.age, location(), headers, words) from None
    held_until_sent(wanted.environ).add(answers.sent, size)
    wanted.caller.trace.by = "job"
    return response


def _expected(wanted: JobRequest) -> float | None:
    """Return how many seconds a run usually takes, or None if too few runs are known."""
    return wanted.services.durations.expected(wanted.session.customer_id, wanted.caller.runs.name)


def _rendered(wanted: JobRequest, job: Job, headers: Headers) -> Response:
    """Return the ended job in the selected mode."""
    trace, began = wanted.caller.trace, perf_counter()
    trace.job = job.id
    try:
        with JobInErrors(job):
            context = _context(wanted, job)
            has_crashed = partial(strict.has_crashed, job, wanted.formatter.name) if wanted.is_strict else lambda: False
            return render(wanted.formatter, context, [*job_headers(job), *headers], has_crashed)
    finally:
        trace.format = perf_counter() - began


def _context(wanted: JobRequest, job: Job) -> Context:
    """Return the formatter's input, with a copy of the document."""
    query, whole = wanted.query, None if job.whole is None else {**job.whole}
    return Context({**job.document}, query.first, accept=wanted.accept, repeated=query.repeated, whole=whole)


def _location(wanted: JobRequest, job: str) -> str:
    """Return the address of the same answer, in the same mode and without the token."""
    mode = wanted.query.only(wanted.services.formatters.queries | {STRICT})
    return job_address(wanted.customer, wanted.caller.runs, job, mode)


def _link_to_result(wanted: JobRequest, job: str) -> Headers:
    """Return a Link header (RFC 8288) to the agent's report, for an answer without content."""
    if RESULT not in wanted.services.formatters.queries or wanted.formatter.name == RESULT:
        return []
    return [("Link", f'<{job_address(wanted.customer, wanted.caller.runs, job, RESULT)}>; rel="describedby"')]


@contextmanager
def _gone_as_not_found() -> Iterator[None]:
    """Give the same answer for a deleted job, one that never existed, and one of another customer."""
    try:
        yield
    except errors.JobGone:
        raise errors.NotFound("Job not found") from None


def _owned(found: Job, wanted: JobRequest) -> Job:
    """Return the job. Raise JobGone unless it belongs to the path's task or workflow and to the caller's customer."""
    if not wanted.services.runners[wanted.caller.runs.kind].owns(wanted.caller, found):
        raise errors.JobGone("The job is another's")
    return found


def _found_to_cancel(find: Callable[[], Job]) -> Job:
    """Return the job, also one with too many steps to wait for: only a cancel ends a cycle of tasks."""
    try:
        return find()
    except errors.JobTooLarge as error:
        if isinstance(error.job, Job) and error.job.steps is not None:  # then it is known to be the workflow's
            return error.job
        raise


def _runnable(named: dict[str, str]) -> Runnable:
    """Return the task or workflow that the path names."""
    ((kind, its_id),) = named.items()
    return Runnable(kind, its_id)
