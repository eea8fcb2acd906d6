"""Cancel the jobs of clients that have gone and asked for it, after a time in which they may come back."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from app.errors import SyncError
from app.theeye.callers import Caller
from app.theeye.jobs import Job
from app.theeye.runner import Runners
from app.waiter.notifications import Notifications

GRACE_SECONDS = 3.0

log = logging.getLogger("theeye_sync.cancelling")


class _Due(NamedTuple):
    """Hold a job to cancel, and its caller."""

    caller: Caller
    job_id: str


class Cancellations:
    """Hold the pending cancellations, and carry them out."""

    def __init__(self, runners: Runners, notifications: Notifications) -> None:
        """Begin with none."""
        self._runners = runners
        self._notifications = notifications
        self._lock = threading.Lock()
        self._timers: dict[_Due, threading.Timer] = {}
        self._stopping = False

    def later(self, caller: Caller, job_id: str) -> None:
        """Cancel the job after GRACE_SECONDS, unless a request waits for it again by then."""
        due = _Due(caller, job_id)
        timer = threading.Timer(GRACE_SECONDS, self._carry_out, [due])
        timer.daemon = True
        with self._lock:
            self._timers[due] = timer
            stopping = self._stopping
        if stopping:  # the process would end before the timer; the worker waits for this call
            self._carry_out(due)
        else:
            timer.start()

    def all_now(self) -> None:
        """Carry out all pending cancellations: the process is stopping."""
        with self._lock:
            self._stopping, due = True, list(self._timers)
        if due:
            with ThreadPoolExecutor(min(len(due), 32)) as pool:
                list(pool.map(self._carry_out, due))

    def _carry_out(self, due: _Due) -> None:
        """Cancel one job, unless another thread has taken it out of the timers."""
        with self._lock:
            if self._timers.pop(due, None) is None:
                return
        if self._notifications.is_watched(due.job_id):
            return
        try:
            self._runners[due.caller.runs.kind].cancel(due.caller, Job(due.job_id))
            log.info("job %s cancelled, its client has gone", due.job_id)
        except SyncError as error:
            log.warning("job %s could not be cancelled after its client had gone: %s", due.job_id, error)
        except Exception:
            log.exception("job %s could not be cancelled after its client had gone", due.job_id)
