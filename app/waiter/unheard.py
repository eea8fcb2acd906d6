"""Find out that notifications do not come, although Redis is heard: it is not the one that TheEye publishes to.

Such a Redis is known by the ends that it did not tell of: so many since the last one that it did tell of.
"""

import threading
from itertools import islice
from time import monotonic

from app.waiter.subscription import PONG_SECONDS

ENOUGH = 3  # ends that were not told of, until something is wrong
LATE_SECONDS = PONG_SECONDS + 1  # a notification can be seconds late, and a frozen Redis is known after PONG_SECONDS
MOST = 10_000  # ends that are remembered


class Unheard:
    """Remember the jobs that a look found ended since the last notification of a job of ours."""

    def __init__(self) -> None:
        """Remember none yet."""
        self._lock = threading.Lock()
        self._found: dict[str, float] = {}  # each job, and when its end was found

    def __contains__(self, job_id: str) -> bool:
        """Return whether the job is one of them."""
        return job_id in self._found

    def add(self, job_id: str) -> None:
        """Remember a job whose end no notification has told; one may come late."""
        with self._lock:
            if len(self._found) < MOST:
                self._found.setdefault(job_id, monotonic())

    def clear(self) -> None:
        """Forget all: a notification of a job of ours has come, or Redis was not heard."""
        with self._lock:
            self._found.clear()

    @property
    def are_too_many(self) -> bool:
        """Return whether ENOUGH ends were found, and the notification of none of them is only late."""
        with self._lock:
            last = next(islice(self._found.values(), ENOUGH - 1, None), None)
        return last is not None and monotonic() - last > LATE_SECONDS
