"""Define what a run and a wait need of TheEye, and have it for tasks."""

from collections.abc import Mapping
from typing import Any, Protocol

from app.theeye.callers import TASK, Caller
from app.theeye.jobs import WORKFLOW_JOB, Job
from app.theeye.supervisor import Supervisor, path_of

Document = Mapping[str, Any]


class Runner(Protocol):
    """Run one kind of what TheEye runs, that which the caller names. All raise as Supervisor's methods do."""

    def show(self, caller: Caller, timeout: float) -> Document:
        """Return the document of what is to be run, before anything is started."""

    def create(self, caller: Caller, query: str, body: bytes | None) -> Job:
        """Start it; never tried twice."""

    def read(self, caller: Caller, job: Job, timeout: float | None = None) -> Job:
        """Return the whole job; `job`: as last seen, or one of which only the id is known."""

    def peek(self, caller: Caller, job: Job, timeout: float | None = None) -> Job:
        """Return the job as far as the cheapest call shows it, without a document unless that was read too."""

    def cancel(self, caller: Caller, job: Job) -> None:
        """Ask for its end; the job may run on."""

    def owns(self, caller: Caller, job: Job) -> bool:
        """Return whether a job, with its document, is of what the caller names, and of the caller's customer."""

    def limits_in(self, job: Job) -> Document:
        """Return the document that tells the history limit, where the job holds one."""


Runners = Mapping[str, Runner]  # by kind


class TaskRunner:
    """Run tasks."""

    def __init__(self, supervisor: Supervisor) -> None:
        """Call this server."""
        self._supervisor = supervisor

    def show(self, caller: Caller, timeout: float) -> Document:
        """Return the task's document."""
        return self._supervisor.show(caller, path_of(caller.customer, TASK, caller.runs.id), timeout)

    def create(self, caller: Caller, query: str, body: bytes | None) -> Job:
        """Start the task."""
        path = path_of(caller.customer, TASK, caller.runs.id, "job")
        return self._supervisor.create(caller, f"{path}?{query}" if query else path, body)

    def read(self, caller: Caller, job: Job, timeout: float | None = None) -> Job:
        """Return the whole job."""
        return self._supervisor.read(caller, job.id, timeout)

    def peek(self, caller: Caller, job: Job, timeout: float | None = None) -> Job:
        """Return the job at its lifecycle."""
        return job.at(self._supervisor.lifecycle(caller, job.id, timeout))

    def cancel(self, caller: Caller, job: Job) -> None:
        """Cancel the job; TheEye says yes even when nothing could be cancelled."""
        self._supervisor.cancel(caller, job.id)

    def owns(self, caller: Caller, job: Job) -> bool:
        """Return whether the job is of the caller's task and customer.

        A document may lack its task or its customer, as that of a job which failed while it was created, but not both.
        """
        document = job.document
        task_of_job = document.get("task")
        of_task = document.get("task_id") or (task_of_job.get("id") if isinstance(task_of_job, dict) else None) or None
        of_customer = document.get("customer_id")
        task = caller.runs.name
        is_ours = str(of_task or task).lower() == task and of_customer in (None, caller.customer_id)
        is_known = of_task is not None or of_customer is not None
        return is_ours and is_known and document.get("_type") != WORKFLOW_JOB

    def limits_in(self, job: Job) -> Document:
        """Return the job's document: it tells its task's limit."""
        return job.document
