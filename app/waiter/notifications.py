"""Tell the waits of this process that their job may have ended or changed. A notification is only a hint to look."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from app.waiter.unheard import Unheard
from app.waiter.wakers import Reason, StepWaker, Waker, Wakers

EARLY = 10_000  # notifications kept for jobs that no wait knows yet


class Notifications:
    """Hold the waits by job id. This base class receives no notifications, so that the waits poll."""

    def __init__(self) -> None:
        """Start without waits."""
        self.epoch = 0
        self._lock = threading.Lock()
        self._waiting = Wakers()
        self._early: dict[str, None] = {}
        self._unheard = Unheard()

    @property
    def live(self) -> bool:
        """Return whether notifications arrive."""
        return False

    @property
    def settled(self) -> bool:
        """Return whether it is known yet if notifications arrive."""
        return True

    def listen(self) -> None:
        """Return once notifications arrive, or once it is known that they do not for now."""

    def keep_listening(self) -> None:
        """Start the listener again if it has ended."""

    @contextmanager
    def watch(self, job_id: str, since: int) -> Iterator[Waker]:
        """Yield a waker for the possible end of the job; wake it at once if the epoch has changed since `since`."""
        waker = Waker()
        self._waiting.add(job_id, waker)
        try:
            with self._lock:
                self._tell_early(job_id, waker)
                if since != self.epoch:
                    waker.wake(Reason.MISSED)
            yield waker
        finally:
            self._waiting.remove(job_id, waker)

    @contextmanager
    def watch_step(self, job_id: str, waker: Waker) -> Iterator[None]:
        """Wake the waker also when a step of its job may have ended; at once if that was told already."""
        step = StepWaker(waker)
        self._waiting.add(job_id, step)
        try:
            with self._lock:
                self._tell_early(job_id, step)
            yield
        finally:
            self._waiting.remove(job_id, step)

    def _tell_early(self, job_id: str, waker: Waker) -> None:
        if job_id in self._early:
            del self._early[job_id]
            self._unheard.clear()
            waker.wake(Reason.TOLD)

    def watch_changes(self, job_id: str, waker: Waker) -> AbstractContextManager[None]:
        """Wake the waker also when the job may have changed."""
        return nullcontext()

    def is_watched(self, job_id: str) -> bool:
        """Return whether any request waits for the job."""
        return job_id in self._waiting

    def notify(self, job_id: str) -> None:
        """Wake the waits for a job; keep the notification of an unknown job for a while."""
        with self._lock:
            is_watched = job_id in self._waiting
            if is_watched or job_id in self._unheard:
                self._unheard.clear()
            if not is_watched:
                self._early[job_id] = None
                if len(self._early) > EARLY:
                    del self._early[next(iter(self._early))]
        self._waiting.wake(job_id, Reason.TOLD)

    def found_unheard(self, job_id: str) -> None:
        """Note a job whose end a look has found without a notification; one may come late."""
        self._unheard.add(job_id)

    @property
    def misses(self) -> bool:
        """Return whether notifications of this service's jobs are missing, although Redis answers."""
        return self._unheard.are_too_many

    def wake_all(self, reason: Reason = Reason.MISSED) -> None:
        """Begin a new epoch and wake every wait, by default to look at its job again."""
        with self._lock:
            self.epoch += 1
        self._waiting.wake_all(reason)
