"""Define the calls to TheEye that a run and a wait need, and make them for tasks."""

from collections.abc import Mapping
from typing import Any, Protocol

from app.theeye.callers import TASK, Caller
from app.theeye.jobs import WORKFLOW_JOB, Job
from app.theeye.supervisor import Supervisor, path_of

Document = Mapping[str, Any]


class Runner(Protocol):
    """Make the calls for one kind, tasks or workflows. All methods raise as Supervisor's do."""

    def show(self, caller: Caller, timeout: float) -> Document:
        """Return the document of the caller's task or workflow, before a run."""

    def create(self, caller: Caller, query: str, body: bytes | None) -> Job:
        """Start the task or workflow; never try twice."""

    def read(self, caller: Caller, job: Job, timeout: float | None = None) -> Job:
        """Return the whole job; `job` is the job as last read, or has an id only."""

    def peek(self, caller: Caller, job: Job, timeout: float | None = None) -> Job:
        """Return the job as the cheapest call shows it, usually without a document."""

    def cancel(self, caller: Caller, job: Job) -> None:
        """Ask TheEye to cancel the job, which may run on."""

    def owns(self, caller: Caller, job: Job) -> bool:
        """Return whether a job with its document belongs to the caller's task or workflow, and customer."""

    def limits_in(self, job: Job) -> Document:
        """Return the document in a job that contains the history limit, or an empty one."""


Runners = Mapping[str, Runner]  # by kind


class TaskRunner:
    """Make the calls for tasks."""

    def __init__(self, supervisor: Supervisor) -> None:
        """Take the server to call."""
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
        """Return the job with its lifecycle, without a document."""
        return job.at(self._supervisor.lifecycle(caller, job.id, timeout))

    def cancel(self, caller: Caller, job: Job) -> None:
        """Cancel the job; TheEye's answer does not tell if that had an effect."""
        self._supervisor.cancel(caller, job.id)

    def owns(self, caller: Caller, job: Job) -> bool:
        """Return whether the job belongs to the caller's task and customer.

        A document may lack its task or its customer, for example if the job failed at its creation, but not both.
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
        """Return the job's document, which contains the limit of its task."""
        return job.document
