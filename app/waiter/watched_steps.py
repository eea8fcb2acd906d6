"""Watch the steps of a workflow's job while they run, so that the wait looks when one of them ends."""

from contextlib import ExitStack
from types import TracebackType

from app.theeye.jobs import Job
from app.waiter.notifications import Notifications
from app.waiter.wakers import Waker


class WatchedSteps:
    """Watch the steps of one wait's job; a task's job has none."""

    __slots__ = ("_changes", "_notifications", "_waker", "_watched")

    def __init__(self, notifications: Notifications, waker: Waker, changes: bool) -> None:
        """Watch none yet; `changes` means to watch each change, not only the ends."""
        self._notifications = notifications
        self._waker = waker
        self._changes = changes
        self._watched: dict[str, ExitStack] = {}

    def __enter__(self) -> "WatchedSteps":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching."""
        for job_id in list(self._watched):
            self._watched.pop(job_id).close()

    def follow(self, job: Job) -> None:
        """Watch the running steps, and stop watching those that have ended."""
        if job.steps is None:
            return
        running = {step.id for step in job.steps.running}
        for job_id in self._watched.keys() - running:
            self._watched.pop(job_id).close()
        for job_id in running - self._watched.keys():
            watching = self._watched[job_id] = ExitStack()
            watching.enter_context(self._notifications.watch_step(job_id, self._waker))
            if self._changes:
                watching.enter_context(self._notifications.watch_changes(job_id, self._waker))
