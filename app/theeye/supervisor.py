"""Call TheEye's supervisor: create, read and cancel jobs, show tasks."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

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
_FIELDS = frozenset({"name", "type", "task_arguments", "graph", "autoremove_completed_jobs_limit"})

GONE = (
    "TheEye no longer has the job: newer jobs of its {kind} may have pushed it out before it was read. "
    "Raise the {kind}'s autoremove_completed_jobs_limit"
)
_NO_ANSWER = (  # as seen on a real TheEye
    "TheEye did not answer; nothing was started. It never answers callers whom the {kind}'s empty `acl` shuts out"
)


class Supervisor(Server):
    """Call TheEye's supervisor, which runs the tasks."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        """Connect to nothing yet."""
        super().__init__(settings.supervisor_url, settings, metrics)

    def create(self, caller: Caller, path: str, body: bytes | None) -> Job:
        """Start a job; never try twice. Raise Refused, Unauthorized, UpstreamFailed, TooBusy or OutcomeUnknown."""
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

    def show(self, caller: Caller, path: str, timeout: float) -> Mapping[str, Any]:
        """Return the document of the caller's task or workflow, before a run.

        Raise Refused, Unauthorized, TooBusy or UpstreamFailed.
        """
        kind = caller.runs.kind
        no_answer = _NO_ANSWER.format(kind=kind)
        if timeout <= 0:  # the request has waited for another one's read of the same
            raise UpstreamFailed(no_answer)
        reply, document = self._show(caller, kind, path, no_answer, timeout)
        if not isinstance(document, dict) or not _is_of(document, caller.runs.id):
            raise _not_shown(f"the {kind}", reply, caller.token, ", nothing was started")
        return document

    def tasks(self, caller: Caller, limit: int) -> Sequence[Any]:
        """Return the documents of the tasks that the token may see, at most `limit`. Raise as `show` does."""
        path = path_of(caller.customer, "task") + f"?limit={limit}"
        return self._list(caller, "tasks", path)

    def workflows(self, caller: Caller, limit: int) -> Sequence[Any]:
        """Return the documents of the workflows that the token may see, at most `limit`. Raise as `show` does."""
        query = urlencode({"customer": caller.customer, "limit": limit}, errors="replace")
        return self._list(caller, "workflows", f"/workflows?{query}")

    def _list(self, caller: Caller, kind: str, path: str) -> Sequence[Any]:
        reply, documents = self._show(caller, kind, path, "TheEye did not answer")
        if not isinstance(documents, list):
            raise _not_shown(f"the {kind}", reply, caller.token)
        return documents

    def read(self, caller: Caller, job_id: str, timeout: float | None = None) -> Job:
        """Return the whole job. Raise Unavailable (try again), JobGone, Unauthorized or UpstreamFailed."""
        document = self.value(caller, "read", path_of(caller.customer, "job", job_id), job_id, timeout)
        if not isinstance(document, dict) or not isinstance(document.get("lifecycle"), str):
            raise Unavailable("The supervisor's answer is not a job", job=Job(job_id))
        return Job.of(document, job_id)

    def lifecycle(self, caller: Caller, job_id: str, timeout: float | None = None) -> str:
        """Return the job's lifecycle only; raise as `read` does."""
        path = path_of(caller.customer, "job", job_id, "lifecycle")
        lifecycle = value_of(self.ask(caller, "lifecycle", "GET", path, job_id, timeout))
        if not isinstance(lifecycle, str):
            raise Unavailable("The supervisor's answer is not a lifecycle")
        return lifecycle

    def cancel(self, caller: Caller, job_id: str, timeout: float | None = None) -> None:
        """Ask TheEye to cancel a job; its answer does not tell if that had an effect. Raise as `read` does.

        Some versions answer 204, others 400, if the lifecycle allows no cancel, for example because the job has ended.
        """
        path = path_of(caller.customer, "job", job_id, "cancel")
        self.ask(caller, "cancel", "PUT", path, job_id, timeout, accepted=(400,))

    def value(self, caller: Caller, kind: str, path: str, job_id: str, timeout: float | None = None) -> Any:
        """Return TheEye's answer about a job, or None if it is not JSON. Raise as `read` does."""
        try:
            return loads_document(self.ask(caller, kind, "GET", path, job_id, timeout).body)
        except TooCostly:
            message = "The job is too large: its document has too many values for its size"
            raise JobTooLarge(message, job=Job(job_id)) from None
        except ValueError:
            return None

    def _show(
        self, caller: Caller, kind: str, path: str, no_answer: str, timeout: float | None = None
    ) -> tuple[Reply, Any]:
        """Make a call that starts nothing; return the reply and its value, or None if the status is not 200.

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

    def ask(
        self,
        caller: Caller,
        kind: str,
        method: str,
        path: str,
        job_id: str,
        timeout: float | None = None,
        accepted: Collection[int] = (),
    ) -> Reply:
        """Make a call about a job, which may be repeated. Raise as `read` does, but for no `accepted` status."""
        try:
            reply = self._call(caller, _names(caller), kind, method, path, timeout=timeout)
        except AnswerTooLarge as error:
            raise JobTooLarge(f"The job is too large: {error}", job=Job(job_id)) from None
        except AllBusy as error:
            raise NotAsked(f"TheEye was not asked: {error}", job=Job(job_id)) from None
        except TransportError as error:
            raise Unavailable(f"The supervisor did not answer: {error}", job=Job(job_id)) from None
        if 200 <= reply.status < 300 or reply.status in accepted:
            return reply
        if reply.status in (400, 404) and value_of(reply) is not None:  # 400: invalid id; without JSON a proxy's answer
            raise JobGone(GONE.format(kind=caller.runs.kind), job=Job(job_id))
        if reply.status not in (400, 404, 408, 425):
            check_supervisor(reply, caller.token, Job(job_id))
        raise Unavailable(f"The supervisor answered with status {reply.status}", job=Job(job_id))


def _names(caller: Caller) -> Names:
    """Return the names whose shares limit a call: TheEye never answers some callers, tasks and workflows."""
    customer, token, runs = caller.customer, caller.token, caller.runs.name
    of_caller = (customer, "caller", token)
    return (
        (customer, None),
        (of_caller, customer),
        ((customer, "task", runs), customer),
        ((customer, token, runs), of_caller),
    )


def path_of(*segments: str) -> str:
    """Join path segments, encoded so that no character ends a segment or the path."""
    return "".join([f"/{_encoded(segment)}" for segment in segments])


def _encoded(segment: str) -> str:
    is_plain = segment.isascii() and segment.isalnum()  # most are: `quote` would change nothing, with ten calls
    return segment if is_plain else quote(segment, safe="", errors="replace")


def _is_of(document: Mapping[str, Any], runnable: str) -> bool:
    """Return whether a document is that of a task or workflow, by its id; without an id, by its other fields."""
    known = document.get("id") or document.get("_id")
    return str(known).lower() == runnable.lower() if known else not _FIELDS.isdisjoint(document)


def _not_sent(error: NotSent) -> SyncError:
    if isinstance(error, AllBusy):
        return TooBusy(f"TheEye was not asked, nothing was started: {error}")
    return UpstreamFailed(f"The supervisor cannot be reached, nothing was started: {error}")


def _not_shown(what: str, reply: Reply, token: str, consequence: str = "") -> UpstreamFailed:
    value = UNSET if reply.status == 200 else shown_value(reply, token)
    return UpstreamFailed(f"The supervisor did not show {what}, with status {reply.status}{consequence}", value=value)
