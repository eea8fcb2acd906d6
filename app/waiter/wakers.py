"""Wake waits, with the reason."""

import threading
from enum import Enum


class Reason(Enum):
    """Name the reasons for which a wait is woken."""

    TOLD = "TheEye has announced that the job has ended"
    STEP = "TheEye has announced that the job of one of the workflow's tasks has ended"
    CHANGED = "TheEye has announced that the job has changed"
    MISSED = "notifications may have been missed"
    FLUSHED = "Redis has lost what was stored in it"
    OTHER = "a look was permitted, or the client has gone"

    __hash__ = object.__hash__  # Enum's own is Python code


class Waker:
    """Let one wait pause until any thread wakes it; no reason is lost."""

    __slots__ = ("_event", "_reasons")

    def __init__(self) -> None:
        """Start without a reason."""
        self._event = threading.Event()
        self._reasons: list[Reason] = []  # an empty deque would take 600 bytes of each wait

    def wake(self, reason: Reason = Reason.OTHER) -> None:
        """Wake the wait, now or at its next pause."""
        self._reasons.append(reason)
        self._event.set()

    def wait(self, seconds: float) -> set[Reason]:
        """Pause until there is a reason, at most `seconds`; return the reasons since the last call."""
        woken = self._event.wait(seconds)
        self._event.clear()
        reasons = {self._reasons.pop() for _ in range(len(self._reasons))}
        return reasons or ({Reason.OTHER} if woken else set())


class StepWaker(Waker):
    """Wake the wait for a workflow's job when one of its steps has ended."""

    __slots__ = ("_waker",)

    def __init__(self, waker: Waker) -> None:
        """Take the waker of the wait."""
        self._waker = waker

    def wake(self, reason: Reason = Reason.OTHER) -> None:
        """Wake the wait; the end of a step is the reason STEP."""
        self._waker.wake(Reason.STEP if reason is Reason.TOLD else reason)


class Wakers:
    """Hold the wakers of waits by job id."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._wakers: dict[str, list[Waker]] = {}

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._wakers)

    def __contains__(self, job_id: str) -> bool:
        """Return whether any wait is for the job."""
        return job_id in self._wakers

    def add(self, job_id: str, waker: Waker) -> None:
        """Add a waker for a job."""
        with self._lock:
            self._wakers.setdefault(job_id, []).append(waker)

    def remove(self, job_id: str, waker: Waker) -> None:
        """Remove a waker."""
        with self._lock:
            wakers = self._wakers[job_id]
            wakers.remove(waker)
            if not wakers:
                del self._wakers[job_id]

    def wake(self, job_id: str, reason: Reason) -> None:
        """Wake the waits for a job."""
        with self._lock:
            for waker in self._wakers.get(job_id, ()):
                waker.wake(reason)

    def wake_all(self, reason: Reason) -> None:
        """Wake all waits."""
        with self._lock:
            for wakers in self._wakers.values():
                for waker in wakers:
                    waker.wake(reason)
