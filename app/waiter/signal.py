"""Wake waits, and tell them why."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class Wake(Enum):
    """Name why a wait is woken."""

    TOLD = "TheEye has told that the job has ended"
    CHANGED = "TheEye has told that the job has changed"
    MISSED = "notifications may have been missed"
    FLUSHED = "Redis has lost what was stored in it"
    OTHER = "a look was permitted, or the client has gone"


class Signal:
    """Wake a wait from any thread; no reason is lost."""

    __slots__ = ("_event", "_reasons")

    def __init__(self) -> None:
        """Give no reason yet."""
        self._event = threading.Event()
        self._reasons: list[Wake] = []  # no deque: one that is empty takes 600 bytes of each wait

    def give(self, reason: Wake = Wake.OTHER) -> None:
        """Wake the wait, now or when it pauses next."""
        self._reasons.append(reason)
        self._event.set()

    def wait(self, seconds: float) -> set[Wake]:
        """Return the reasons given since the last call, after a pause until there is one; none after `seconds`."""
        woken = self._event.wait(seconds)
        self._event.clear()
        reasons = {self._reasons.pop() for _ in range(len(self._reasons))}
        return reasons or ({Wake.OTHER} if woken else set())


class Signals:
    """Hold the signals of waits by job id."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._lock = threading.Lock()
        self._signals: dict[str, list[Signal]] = {}

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._signals)

    def __contains__(self, job_id: str) -> bool:
        """Return whether anybody waits for the job."""
        return job_id in self._signals

    @contextmanager
    def hold(self, job_id: str, signal: Signal) -> Iterator[None]:
        """Hold one more."""
        with self._lock:
            self._signals.setdefault(job_id, []).append(signal)
        try:
            yield
        finally:
            with self._lock:
                signals = self._signals[job_id]
                signals.remove(signal)
                if not signals:
                    del self._signals[job_id]

    def give(self, job_id: str, reason: Wake) -> None:
        """Wake the waits for a job."""
        with self._lock:
            for signal in self._signals.get(job_id, ()):
                signal.give(reason)

    def give_all(self, reason: Wake) -> None:
        """Wake all waits."""
        with self._lock:
            for signals in self._signals.values():
                for signal in signals:
                    signal.give(reason)
