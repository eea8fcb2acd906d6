"""Bound what one caller, task or customer has under way, so that nobody takes all of what is there for everybody."""

import threading
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic

Share = tuple[Hashable, float]  # the name of a share, and how many may have a part of it at once


class ShareTaken(Exception):
    """Report that a share stayed taken until the deadline."""


class Shares:
    """Give out parts of shares, first come, first served; who waits for one share holds up nobody of another."""

    def __init__(self) -> None:
        """Begin with nothing given out."""
        self._lock = threading.Lock()
        self._used: dict[Hashable, int] = {}
        self._queues: dict[Hashable, deque[threading.Event]] = {}

    @contextmanager
    def hold(self, shares: Iterable[Share], deadline: float) -> Iterator[None]:
        """Hold a part of each share; wait for it until the deadline. Raise ShareTaken.

        The narrower share is to be named first: what is held while the next one is waited for is the caller's own then.
        """
        held: list[Hashable] = []
        try:
            for name, most in shares:
                self._enter(name, most, deadline)
                held.append(name)
            yield
        finally:
            for name in held:
                self._leave(name)

    def _enter(self, name: Hashable, most: float, deadline: float) -> None:
        with self._lock:
            used = self._used.get(name, 0)
            if used < most:
                self._used[name] = used + 1
                return
            given = threading.Event()
            self._queues.setdefault(name, deque()).append(given)
        try:
            if not given.wait(max(deadline - monotonic(), 0)):
                raise ShareTaken
        except BaseException:
            self._give_up(name, given)
            raise

    def _leave(self, name: Hashable) -> None:
        """Hand the part to the first in the queue."""
        with self._lock:
            if queue := self._queues.get(name):
                queue.popleft().set()
                if not queue:
                    del self._queues[name]
            elif self._used[name] > 1:
                self._used[name] -= 1
            else:
                del self._used[name]

    def _give_up(self, name: Hashable, given: threading.Event) -> None:
        with self._lock:
            queue = self._queues.get(name)
            if queue and given in queue:
                queue.remove(given)
                if not queue:
                    del self._queues[name]
                return
        self._leave(name)  # it was given at the last moment
