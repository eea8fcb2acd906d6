"""Limit the looks at jobs that one process makes: each costs TheEye's servers 100 ms of CPU.

A look after a notification is never delayed, but counts. Other looks queue for the rest of SYNC_MAX_LOOKS, at least a
fifth of it, also when Redis is back and all waits look again. Jobs that are known to have ended come first, then those
whose last look is longest ago.
"""

import heapq
import itertools
import os
import threading
from collections.abc import Callable
from time import monotonic

SECOND = 1.0  # the period of the limit
SPARE = 1.05  # factor for the time between two looks: they arrive less evenly than they are sent
MOST_PAUSES = 5  # the longest time from one look to the next, in pauses, however many notifications come


class Permit:
    """Hold the request of one wait for its next look; `wake` is called when the look is permitted.

    At the end of a `with` block it leaves the queue.
    """

    __slots__ = ("_permits", "given", "number", "wake")

    def __init__(self, permits: "Permits", wake: Callable[[], None]) -> None:
        """Ask for nothing yet."""
        self._permits = permits
        self.wake = wake
        self.number = 0  # the number of the request in the queue, 0 without one
        self.given = False

    def __enter__(self) -> "Permit":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the queue."""
        self.withdraw()

    def ask(self, last_look: float, first: bool = False) -> None:
        """Queue for a look, unless the permit is queued already.

        `last_look` is when the job was last looked at, in seconds of `monotonic`; `first` means that its end is known.
        """
        self._permits.ask(self, (not first, last_look))

    @property
    def is_asked(self) -> bool:
        """Return whether the permit is queued, or given and not taken yet."""
        return self.given or self.number > 0

    def take(self) -> bool:
        """Return whether the look is permitted, and use up the permit."""
        return self._permits.take(self)

    def count(self) -> None:
        """Count a look that is made at once, instead of a queued one."""
        self.withdraw()
        self._permits.count()

    def withdraw(self) -> None:
        """Leave the queue."""
        self.number = 0


class Permits:
    """Give the permits of one process evenly: at most `per_second` in any second."""

    def __init__(self, per_second: int) -> None:
        """Start without a thread; one gives permits while waits queue."""
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._between = SECOND * SPARE / per_second  # seconds
        self._last = float("-inf")  # when a permit was last given, or the queue was empty
        self._next_at = float("-inf")  # when the next look may be made
        self._queue: list[tuple[tuple[bool, float], int, Permit]] = []
        self._giving_in = 0  # the process whose thread gives permits

    def count(self) -> None:
        """Count a look that is made at once."""
        with self._lock:
            if not self._queue:
                self._last = monotonic()
            self._next_at = min(self._one_later(), self._last + MOST_PAUSES * self._between)

    def permit(self, wake: Callable[[], None]) -> Permit:
        """Return a permit to ask for, in a `with` statement."""
        return Permit(self, wake)

    def ask(self, permit: Permit, priority: tuple[bool, float]) -> None:
        """Give the permit at once if the queue is empty, else when it is the first of the queue."""
        with self._lock:
            if self._giving_in == os.getpid() or self._pause() > 0:
                if not permit.number and not permit.given:
                    permit.number = next(self._numbers)
                    heapq.heappush(self._queue, (priority, permit.number, permit))
                self._ensure_giving()
                return
            self._give(permit)

    def take(self, permit: Permit) -> bool:
        """Return whether a permit was given, and use it up."""
        if not permit.given:
            return False
        with self._lock:
            given, permit.given = permit.given, False
            return given

    def _pause(self) -> float:
        """Return the seconds until the next look may be made."""
        return max(self._next_at - monotonic(), 0.0)

    def _one_later(self) -> float:
        """Return when another look may be made after the next one."""
        return max(self._next_at, monotonic()) + self._between

    def _give(self, permit: Permit) -> None:
        permit.number, permit.given = 0, True
        self._last, self._next_at = monotonic(), self._one_later()
        permit.wake()

    def _ensure_giving(self) -> None:
        if self._giving_in != os.getpid():
            threading.Thread(target=self._run, name="theeye-sync-looks", daemon=True).start()
            self._giving_in = os.getpid()

    def _run(self) -> None:
        pause = threading.Event()
        try:
            while (seconds := self._step()) is not None:
                pause.wait(seconds)
        except BaseException:
            self._giving_in = 0
            raise

    def _step(self) -> float | None:
        """Give the permits that are free now; return the seconds until the next one, None if the queue is empty."""
        with self._lock:
            while self._queue and not self._pause():
                _, number, permit = heapq.heappop(self._queue)
                if permit.number == number:  # else the wait has left the queue
                    self._give(permit)
            if self._queue:
                return self._pause()
            self._giving_in = 0
            return None
