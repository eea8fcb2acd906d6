"""Make the calls for workflows. A workflow's job consists of steps, which are the jobs of its tasks.

TheEye starts the first step with the job, and each other one when a step before it has ended.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any
from urllib.parse import quote

from app.errors import JobGone, JobTooLarge, NotFound, Refused, SyncError, Unauthorized, Unavailable, UpstreamFailed
from app.theeye.callers import WORKFLOW, Caller
from app.theeye.graph import Graph, Graphs
from app.theeye.jobs import WORKFLOW_JOB, Job
from app.theeye.steps import ENDED, Steps, id_of
from app.theeye.supervisor import Supervisor, path_of
from app.theeye.workflow_end import has_settled, is_over, is_silent

MOST_STEPS = 1000  # the limit for one job; a graph with a cycle would run for ever
CANCEL_SECONDS = 2.0  # a step that ends while its job is being cancelled may still start others
CANCEL_PAUSE = 0.2  # seconds between two rounds

_LOST = (
    "TheEye no longer has the job of the task that ended the workflow: newer jobs of its task or workflow may have "
    "pushed it out before it was read. Raise the autoremove_completed_jobs_limit of both"
)
_HIDDEN = (
    "TheEye does not show the job of the task that ends the workflow: the job's `acl` shuts the caller out, "
    "or newer jobs have pushed it out"
)

Document = Mapping[str, Any]
Left = Callable[[], float | None]  # returns the timeout of the next call in seconds; None means the usual one


class WorkflowRunner:
    """Make the calls for workflows."""

    def __init__(self, supervisor: Supervisor) -> None:
        """Take the server to call; know no graph yet."""
        self._supervisor = supervisor
        self._graphs = Graphs()

    def show(self, caller: Caller, timeout: float) -> Document:
        """Return the workflow's document. Raise NotFound if it is another customer's."""
        try:
            document = self._supervisor.show(caller, _path(caller), timeout)
        except Unauthorized:  # TheEye answers 401 for another organisation's workflow too
            self._supervisor.workflows(caller, 1)  # raises Unauthorized if it is the token
            raise NotFound("Workflow not found") from None
        self._graphs.remember(caller, document)
        return document

    def create(self, caller: Caller, query: str, body: bytes | None) -> Job:
        """Start the workflow."""
        path = _path(caller, "job")
        if body is None and not query:
            body = b"{}"  # else TheEye would use the query, with the customer, as the first task's only argument
        job = self._supervisor.create(caller, f"{path}&{query}" if query else path, body)
        lifecycle = None if job.has_ended else job.lifecycle  # a look will show the ended steps
        return replace(job.without_document(), lifecycle=lifecycle, steps=Steps())

    def read(self, caller: Caller, job: Job, timeout: float | None = None) -> Job:
        """Return the whole job; an ended job has the output and result of its last step."""
        return _bounded(self._read(caller, job, _left(timeout)))

    def _read(self, caller: Caller, job: Job, left: Left) -> Job:
        own = self._supervisor.read(caller, job.id, left())
        if not self.owns(caller, own):
            raise JobGone("The job is not the workflow's", job=Job(job.id))
        shown = self._jobs(caller, own, left)  # read after the job's own document, so that no step is missing
        steps = self._steps(caller, job, shown, left)
        if not is_over(own, steps, old_is_enough=job.steps is None):
            running = steps.running
            lifecycle = running[-1].lifecycle if running and own.has_ended else own.lifecycle
            return replace(own, lifecycle=None if lifecycle in ENDED else lifecycle, steps=steps)
        self._check_complete(caller, own, steps, left)
        return _with_result(own, shown, steps)

    def peek(self, caller: Caller, job: Job, timeout: float | None = None) -> Job:
        """Return the job with its steps; read the whole job if no step runs and it may be over."""
        left = _left(timeout)
        steps = self._steps(caller, job, self._jobs(caller, job, left), left)
        seen = _bounded(replace(job, steps=steps, seen_at=monotonic()))
        if steps.running:
            return seen
        if not steps.silent:
            lifecycle = self._supervisor.lifecycle(caller, job.id, left())
            if lifecycle not in ENDED:
                return replace(seen, lifecycle=lifecycle)
        return self._read(caller, seen, left)

    def cancel(self, caller: Caller, job: Job) -> None:
        """Cancel the job, and then each step that still runs: TheEye cancels only the newest step.

        Raise Refused if TheEye refuses to cancel a step, after the others were cancelled, or Unavailable if none was.
        """
        failure: Unavailable | None = None
        try:
            self._supervisor.ask(caller, "cancel", "PUT", _path(caller, "job", job.id, "cancel"), job.id)
        except JobGone:  # TheEye's 400: the newest step has just ended
            pass
        except Unavailable as error:
            failure = error
        left = _left(CANCEL_SECONDS)
        while left():
            try:
                job = self._read(caller, job, left)
                if self._cancel_steps(caller, job, left):
                    failure = None
            except Unavailable as error:
                failure = error if left() else failure  # at the end of CANCEL_SECONDS it is no failure of TheEye
            except JobTooLarge:  # too many steps to read: a cycle that has run for long
                break
            if job.has_ended:
                return
            threading.Event().wait(CANCEL_PAUSE)
        if failure is not None:
            raise failure

    def owns(self, caller: Caller, job: Job) -> bool:
        """Return whether the job belongs to the caller's workflow and customer."""
        document = job.document
        is_callers = _is_of_workflow(caller, document.get("workflow_id")) and _is_callers(caller, document)
        return document.get("_type") == WORKFLOW_JOB and is_callers

    def limits_in(self, job: Job) -> Document:
        """Return an empty document: a limit in the document of a workflow's job is that of its first task."""
        return {}

    def _cancel_steps(self, caller: Caller, job: Job, left: Left) -> int:
        """Cancel the steps that run; return how many. Raise SyncError, after all were tried."""
        cancelled, failure = 0, None
        for step in job.steps.running if job.steps is not None else ():
            try:
                self._supervisor.cancel(caller, step.id, left())
                cancelled += 1
            except JobGone:  # the step was deleted meanwhile
                continue
            except SyncError as error:
                failure = error
        if failure is not None:
            failure.job = job.without_document()  # the client knows no step
            raise failure
        return cancelled

    def _jobs(self, caller: Caller, job: Job, left: Left) -> list[Document]:
        """Return the documents of a job's steps. Raise JobGone if one belongs to another job or customer."""
        job_id = job.id
        try:
            documents = self._supervisor.value(caller, "jobs", _path(caller, "job", job_id, "jobs"), job_id, left())
        except JobTooLarge as error:
            error.job = replace(job.without_document(), steps=job.steps or Steps())  # a cancel needs no more
            raise
        if not isinstance(documents, list) or not all(isinstance(document, dict) for document in documents):
            raise Unavailable("The supervisor answered with something that is no list of jobs", job=Job(job_id))
        for document in documents:
            is_ours = document.get("workflow_job_id") == job_id and _is_callers(caller, document)
            if not is_ours or not _is_of_workflow(caller, document.get("workflow_id") or caller.runs.id):
                raise JobGone("A job in the list is not the workflow's", job=Job(job_id))
        return documents

    def _steps(self, caller: Caller, job: Job, shown: list[Document], left: Left) -> Steps:
        """Return the job's steps, updated by the documents that TheEye shows now.

        Raise UpstreamFailed if TheEye shows none, so that the end cannot be known.
        """
        graph = self._graph(caller, job.id, left)
        steps = (job.steps or Steps()).seen(shown, is_chain=graph.is_chain)
        awaited, lacking = (graph.awaits(steps.all, surely=surely) for surely in (False, True))
        steps = replace(steps, awaited=awaited, lacking=lacking)
        silent = is_silent(graph, steps)
        if silent and not steps.all and (job.steps is None or has_settled(steps)):
            raise UpstreamFailed(_HIDDEN, code=JobGone.code, job=job.without_document())
        return replace(steps, silent=silent)

    def _check_complete(self, caller: Caller, own: Job, steps: Steps, left: Left) -> None:
        """Raise JobGone if the last step was deleted unread, UpstreamFailed if TheEye does not show it."""
        if not steps.last and any(step.gone for step in steps.all):
            raise JobGone(_LOST, job=own.without_document())
        hides_next = steps.lacking and own.has_ended and not own.was_canceled
        if hides_next:  # unless the graph was changed since it was read
            hides_next = self._read_graph(caller, own.id, left).awaits(steps.all, surely=True)
        if not steps.last or hides_next:
            raise UpstreamFailed(_HIDDEN, code=JobGone.code, job=own.without_document())

    def _graph(self, caller: Caller, job_id: str, left: Left) -> Graph:
        """Return the workflow's graph, remembered or read now."""
        return self._graphs.get(caller) or self._read_graph(caller, job_id, left)

    def _read_graph(self, caller: Caller, job_id: str, left: Left) -> Graph:
        """Read the workflow's graph, and remember it."""
        try:
            document = self._supervisor.value(caller, WORKFLOW, _path(caller), job_id, left())
        except (Refused, JobGone):  # TheEye may show the job and not the workflow: then only the job's own end counts
            return Graph({"version": 2})
        if not isinstance(document, dict):
            raise Unavailable("The supervisor answered with something that is no workflow", job=Job(job_id))
        return self._graphs.remember(caller, document)


def _left(timeout: float | None) -> Left:
    """Return a function that returns the seconds left of a timeout, which all calls of one look share."""
    until = None if timeout is None else monotonic() + timeout
    return lambda: None if until is None else max(until - monotonic(), 0.0)


def _bounded(job: Job) -> Job:
    """Return the job. Raise JobTooLarge if it goes on after too many steps; the error has the job with its steps."""
    if job.steps is not None and len(job.steps.all) > MOST_STEPS and not job.has_ended:
        words = f"The workflow's job is too large: more than {MOST_STEPS} tasks have run in it. Has its graph a cycle?"
        raise JobTooLarge(words, job=job.without_document())
    return job


def _is_of_workflow(caller: Caller, workflow_id: Any) -> bool:
    return str(workflow_id).lower() == caller.runs.id.lower()


def _is_callers(caller: Caller, document: Document) -> bool:
    """Return whether a job belongs to the caller's customer; its document may lack the customer."""
    return document.get("customer_id") in (None, caller.customer_id)


def _with_result(own: Job, shown: list[Document], steps: Steps) -> Job:
    """Return the ended job with output and result of its last step; also with its state if TheEye sets none."""
    last = steps.last
    jobs = shown if any(id_of(document) == id_of(last) for document in shown) else [*shown, last]
    given = {name: last.get(name) for name in ("output", "result")}
    if not own.has_ended:
        given |= {name: last.get(name) for name in ("lifecycle", "state", "trigger_name", "last_update")}
    document = {**own.document, **given}
    whole = {**own.document, "jobs": jobs}
    return replace(Job.of(document, own.id), steps=steps, whole=whole)


def _path(caller: Caller, *segments: str) -> str:
    """Return the path of the caller's workflow, with further segments, and with the customer in the query."""
    customer = quote(caller.customer, safe="", errors="replace")
    return f"{path_of('workflows', caller.runs.id, *segments)}?customer={customer}"
