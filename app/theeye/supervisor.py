"""Have TheEye's supervisor run tasks, and read and cancel their jobs."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from app.errors import (
    UNSET,
    JobGone,
    JobTooLarge,
    NotAsked,
    OutcomeUnknown,
    SyncError,
    TooBusy,
    Unavailable,
    UpstreamFailed,
)
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.theeye.callers import Caller
from app.theeye.job_id import find_job_id
from app.theeye.jobs import Job
from app.theeye.refusals import check_supervisor, failed_create
from app.theeye.replies import shown_value, value_of
from app.theeye.server import Server
from app.theeye.shares import Names
from app.theeye.transport import AllBusy, AnswerTooLarge, NotSent, Reply, TransportError
from formatters.cost import TooCostly
from formatters.jsontext import loads_document

_CREATED = (200, 201)
_TASK_FIELDS = frozenset({"name", "type", "task_arguments", "autoremove_completed_jobs_limit"})

_GONE = (
    "TheEye no longer has the job: newer jobs of its task may have pushed it out before it was read. "
    "Raise the task's autoremove_completed_jobs_limit"
)
_NO_ANSWER = (  # as seen on a real TheEye
    "TheEye did not answer; nothing was started. It never answers callers whom the task's empty `acl` shuts out"
)


class Supervisor(Server):
    """Call the server of TheEye that runs the tasks."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        """Connect to nothing yet."""
        super().__init__(settings.supervisor_url, settings, metrics)

    def create(self, caller: Caller, task: str, query: str, body: bytes | None) -> Job:
        """Start the task; never tried twice. Raise Refused, Unauthorized, UpstreamFailed, TooBusy or OutcomeUnknown."""
        path = _path(caller.customer, "task", task, "job") + (f"?{query}" if query else "")
        try:
            reply = self._call(caller, _names(caller), "create", "POST", path, body)
        except NotSent as error:
            raise _not_sent(error) from None
        except TransportError as error:
            if isinstance(error, AnswerTooLarge) and error.status in _CREATED and (job_id := find_job_id(error.head)):
                return Job(job_id)
            message = f"The answer to the create was lost, the job may have started: {error}"
            raise OutcomeUnknown(message) from None
        if reply.status not in _CREATED:
            check_supervisor(reply, caller.token)
            raise failed_create(reply, caller.token, self.transport.endpoint.is_relayed)
        document = value_of(reply)
        job = Job.of(document) if isinstance(document, dict) else Job(find_job_id(reply.body) or "")
        if not job.id:
            message = "The supervisor's answer to the create is not a job, but the job may have started"
            raise UpstreamFailed(message, code=OutcomeUnknown.code, may_have_started=True)
        return job

    def task(self, caller: Caller, task: str, timeout: float) -> Mapping[str, Any]:
        """Return the task's document, before anything is started.

        Raise Refused, Unauthorized, TooBusy or UpstreamFailed.
        """
        if timeout <= 0:  # spent on the wait for another request's read of the same task
            raise UpstreamFailed(_NO_ANSWER)
        reply, document = self._show(caller, "task", _path(caller.customer, "task", task), _NO_ANSWER, timeout)
        if not isinstance(document, dict) or not _is_task(document, task):
            raise _not_shown("the task", reply, caller.token, ", nothing was started")
        return document

    def tasks(self, caller: Caller, limit: int) -> Sequence[Any]:
        """Return the documents of the tasks that the token may see, at most `limit`. Raise as `task` does."""
        path = _path(caller.customer, "task") + f"?limit={limit}"
        reply, documents = self._show(caller, "tasks", path, "TheEye did not answer")
        if not isinstance(documents, list):
            raise _not_shown("the tasks", reply, caller.token)
        return documents

    def read(self, caller: Caller, job_id: str, timeout: float | None = None) -> Job:
        """Return the whole job. Raise Unavailable for what may pass, JobGone, Unauthorized or UpstreamFailed."""
        path = _path(caller.customer, "job", job_id)
        try:
            document = loads_document(self._ask(caller, "read", "GET", path, job_id, timeout).body)
        except TooCostly:
            message = "The job is too large: its document has too many values for its size"
            raise JobTooLarge(message, job=Job(job_id)) from None
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("lifecycle"), str):
            raise Unavailable("The supervisor's answer is not a job", job=Job(job_id))
        return Job.of(document, job_id)

    def lifecycle(self, caller: Caller, job_id: str, timeout: float | None = None) -> str:
        """Return the job's lifecycle only; raise as `read` does."""
        path = _path(caller.customer, "job", job_id, "lifecycle")
        lifecycle = value_of(self._ask(caller, "lifecycle", "GET", path, job_id, timeout))
        if not isinstance(lifecycle, str):
            raise Unavailable("The supervisor's answer is not a lifecycle")
        return lifecycle

    def cancel(self, caller: Caller, job_id: str) -> None:
        """Ask for the end of a job; TheEye says yes even when nothing could be cancelled. Raise as `read` does."""
        self._ask(caller, "cancel", "PUT", _path(caller.customer, "job", job_id, "cancel"), job_id)

    def _show(
        self, caller: Caller, kind: str, path: str, no_answer: str, timeout: float | None = None
    ) -> tuple[Reply, Any]:
        """Make a call that starts nothing; return the reply and its value, None where the status is not 200.

        `no_answer`: the error's words where TheEye does not answer.
        """
        try:
            reply = self._call(caller, _names(caller), kind, "GET", path, timeout=timeout)
        except NotSent as error:
            raise _not_sent(error) from None
        except TransportError as error:
            raise UpstreamFailed(f"{no_answer}: {error}") from None
        if reply.status == 200:
            return reply, value_of(reply)
        check_supervisor(reply, caller.token)
        return reply, None

    def _ask(
        self, caller: Caller, kind: str, method: str, path: str, job_id: str, timeout: float | None = None
    ) -> Reply:
        """Make a call about a job, which may be repeated."""
        job = Job(job_id)
        try:
            reply = self._call(caller, _names(caller), kind, method, path, timeout=timeout)
        except AnswerTooLarge as error:
            raise JobTooLarge(f"The job is too large: {error}", job=job) from None
        except AllBusy as error:
            raise NotAsked(f"TheEye was not asked: {error}", job=job) from None
        except TransportError as error:
            raise Unavailable(f"The supervisor did not answer: {error}", job=job) from None
        if 200 <= reply.status < 300:
            return reply
        if reply.status in (400, 404) and value_of(reply) is not None:  # 400: no id; without JSON it is not TheEye's
            raise JobGone(_GONE, job=job)
        if reply.status not in (400, 404, 408, 425):
            check_supervisor(reply, caller.token, job)
        raise Unavailable(f"The supervisor answered with status {reply.status}", job=job)


def _names(caller: Caller) -> Names:
    """Return whose shares a call takes: TheEye never answers some callers, and some of their tasks."""
    customer, token, task = caller.customer, caller.token, caller.task
    of_caller = (customer, "caller", token)
    return (
        (customer, None),
        (of_caller, customer),
        ((customer, "task", task), customer),
        ((customer, token, task), of_caller),
    )


def _path(*segments: str) -> str:
    """Join path segments; nothing in a segment can end it or the path."""
    return "".join(f"/{quote(segment, safe='', errors='replace')}" for segment in segments)


def _is_task(document: Mapping[str, Any], task: str) -> bool:
    """Return whether a document is this task's: by its id, or, without one, by another field of a task."""
    known = document.get("id") or document.get("_id")
    return str(known).lower() == task.lower() if known else not _TASK_FIELDS.isdisjoint(document)


def _not_sent(error: NotSent) -> SyncError:
    if isinstance(error, AllBusy):
        return TooBusy(f"TheEye was not asked, nothing was started: {error}")
    return UpstreamFailed(f"The supervisor cannot be reached, nothing was started: {error}")


def _not_shown(what: str, reply: Reply, token: str, consequence: str = "") -> UpstreamFailed:
    value = UNSET if reply.status == 200 else shown_value(reply, token)
    return UpstreamFailed(f"The supervisor did not show {what}, with status {reply.status}{consequence}", value=value)
