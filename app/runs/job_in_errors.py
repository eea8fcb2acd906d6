"""Add the job to every error that occurs after its creation, so that the client gets the job's id."""

from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType

from app.errors import SyncError
from app.theeye.jobs import Job


class Crashed(Exception):
    """Report an unexpected error after a job was created; Flask handles it as usual."""

    def __init__(self, job: Job) -> None:
        """Take the job as last read; raise it `from` the unexpected error."""
        super().__init__(f"unexpected error with job {job.id}")
        self.job = job


class JobInErrors(AbstractContextManager["JobInErrors"]):
    """Add the job to the errors of a `with` block. Raise Crashed from an unexpected one."""

    __slots__ = ("_job",)

    def __init__(self, job: Job) -> None:
        """Take the job as last read."""
        self._job = job

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Change the error, if there is one."""
        if error is None:
            return
        if isinstance(error, SyncError):
            seen = error.job
            if seen is None:
                error.job = self._job
            elif seen.lifecycle is None:
                error.job = replace(self._job, id=seen.id)
        elif isinstance(error, Exception):
            raise Crashed(self._job) from error
