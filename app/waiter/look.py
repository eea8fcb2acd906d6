"""Look at a job: read its lifecycle or its steps while it runs, its whole document once it has ended."""

import logging
from collections.abc import Callable
from time import monotonic

from app.errors import Refused, Unavailable
from app.theeye.callers import Caller
from app.theeye.jobs import Job
from app.theeye.runner import Runner

log = logging.getLogger("theeye_sync.waiter")


class Look:
    """Read the job of one wait, and remember it."""

    def __init__(self, runner: Runner, caller: Caller, job: Job, seconds: Callable[[], float]) -> None:
        """Begin with the job as created; `seconds` returns how long a look may take."""
        self.job = job
        self.at = monotonic()  # the time of the last look
        self.failed = False
        self.is_due = False  # whether the lifecycle has shown the end, so that the document has to be read
        self._light = True
        self._runner = runner
        self._caller = caller
        self._seconds = seconds

    def shows_end(self, whole: bool) -> bool:
        """Look once, and return whether the job has ended.

        Read the document if `whole`, if the end is known, or if the last look failed; else only the lifecycle.
        """
        self.at = monotonic()
        try:
            self._look(whole or self.failed or self.is_due or not self._light)
        except Unavailable as error:
            if not self.failed:
                log.warning("job %s cannot be read for now: %s", self.job.id, error)
            self.failed = True
            return False
        self.failed = False
        return self.job.has_ended and not self.is_due

    def _look(self, whole: bool) -> None:
        if not whole and (seen := self._peek()) is not None:
            self.is_due = seen.has_ended and not seen.document
            self.job = self.job if self.is_due else seen
        else:
            self.job = read(self._runner, self._caller, self.job, self._seconds())
            self.is_due = False

    def _peek(self) -> Job | None:
        """Return the job with its lifecycle, or None if TheEye refuses: that needs more rights than the document."""
        try:
            return self._runner.peek(self._caller, self.job, self._seconds())
        except Refused:
            self._light = False
            return None


def read(runner: Runner, caller: Caller, job: Job, timeout: float) -> Job:
    """Read the whole job, and add the time to the request's record."""
    began = monotonic()
    try:
        return runner.read(caller, job, timeout)
    finally:
        caller.trace.read += monotonic() - began
