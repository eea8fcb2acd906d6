"""Determine how long a wait pauses between two looks at its job."""

import random
from time import monotonic

POLLING = 0.025, 1.0  # seconds between looks without notifications: the first pause and the longest
SAFETY = 5.0, 15.0  # the same with notifications: a lost one delays an answer by seconds
QUICK_SECONDS = 5.0  # a wait polls for this time after a notification that came before TheEye shows the end


class BackOff:
    """Give growing pauses, spread by a tenth so that waits do not look at the same time."""

    def __init__(self, first: float, longest: float) -> None:
        """Take the first and the longest pause, in seconds."""
        self._next = first
        self._longest = longest

    def next(self) -> float:
        """Return the next pause in seconds."""
        pause, self._next = self._next, min(self._next * 1.6, self._longest)
        return pause * random.uniform(0.9, 1.1)


class Pauses:
    """Give the pauses between the looks of one wait."""

    def __init__(self) -> None:
        """Begin with the first pause."""
        self._polling, self._safety = BackOff(*POLLING), BackOff(*SAFETY)
        self._quick_until = float("-inf")

    def quick(self) -> None:
        """Poll for QUICK_SECONDS: the end of the job was announced."""
        self._polling, self._quick_until = BackOff(*POLLING), monotonic() + QUICK_SECONDS

    def calm(self) -> None:
        """Stop polling: what was announced has been seen."""
        self._quick_until = float("-inf")

    @property
    def are_quick(self) -> bool:
        """Return whether the wait polls because of a notification."""
        return monotonic() < self._quick_until

    def next(self, notified: bool) -> float:
        """Return the next pause in seconds; `notified` is whether a notification will announce the end."""
        return (self._safety if notified and not self.are_quick else self._polling).next()
