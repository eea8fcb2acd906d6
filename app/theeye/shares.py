"""Bound what one customer holds, so that nobody takes all of what is there for everybody."""

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class ShareTaken(Exception):
    """Report that a share is taken, or stayed so until the deadline."""


class Shares:
    """Count what each name holds."""

    def __init__(self) -> None:
        """Begin with nothing given out."""
        self._lock = threading.Lock()
        self._used: Counter[Hashable] = Counter()

    @contextmanager
    def hold(self, name: Hashable, most: float) -> Iterator[None]:
        """Hold one of the name's. Raise ShareTaken where it has `most` by now."""
        with self._lock:
            if self._used[name] >= most:
                raise ShareTaken
            self._used[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._used[name] -= 1
                if not self._used[name]:
                    del self._used[name]
