"""Add the job to every error that occurs after its creation, so that the client gets the job's id."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.errors import SyncError
from app.theeye.jobs import Job


class Crashed(Exception):
    """Report an unexpected error after a job was created; Flask handles it as usual."""

    def __init__(self, job: Job) -> None:
        """Take the job as last read; raise it `from` the unexpected error."""
        super().__init__(f"unexpected error with job {job.id}")
        self.job = job


@contextmanager
def job_in_errors(job: Job) -> Iterator[None]:
    """Add the job to the errors of the block. Raise Crashed from an unexpected one."""
    try:
        yield
    except SyncError as error:
        seen = error.job
        if seen is None:
            error.job = job
        elif seen.lifecycle is None:
            error.job = replace(job, id=seen.id)
        raise
    except Exception as error:
        raise Crashed(job) from error
