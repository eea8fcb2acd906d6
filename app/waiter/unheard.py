"""Detect that notifications are missing although Redis answers: it is not the Redis that TheEye publishes to.

The sign of that are several ends of jobs without a notification, since the last notification of a job of this service.
"""

import threading
from itertools import islice
from time import monotonic

from app.waiter.subscription import PONG_SECONDS

ENOUGH = 3  # ends without a notification that mean that something is wrong
LATE_SECONDS = PONG_SECONDS + 1  # a notification can be seconds late; a frozen Redis is detected after PONG_SECONDS
MOST = 10_000  # at most so many ends are remembered


class Unheard:
    """Remember the jobs that a look found ended, since the last notification about a job of this service."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._found: dict[str, float] = {}  # each job, and when its end was found

    def __contains__(self, job_id: str) -> bool:
        """Return whether the job is one of them."""
        return job_id in self._found

    def add(self, job_id: str) -> None:
        """Remember a job that has ended without a notification; one may come late."""
        with self._lock:
            if len(self._found) < MOST:
                self._found.setdefault(job_id, monotonic())

    def clear(self) -> None:
        """Forget all: a notification about a job of this service has come, or Redis did not answer."""
        if self._found:
            with self._lock:
                self._found.clear()

    @property
    def are_too_many(self) -> bool:
        """Return whether ENOUGH ends were found, long enough ago that their notifications are not only late."""
        if len(self._found) < ENOUGH:
            return False
        with self._lock:
            last = next(islice(self._found.values(), ENOUGH - 1, None), None)
        return last is not None and monotonic() - last > LATE_SECONDS
