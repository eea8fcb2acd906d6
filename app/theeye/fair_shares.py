"""Share the connections to a server, so that however many callers it never answers, others find free ones.

Names form a tree: customers, and in each its callers and its tasks. A name may hold half of what the others beside it
leave. So one customer has at most half of all, and a second one that hangs too half of the rest.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from itertools import islice
from time import monotonic

from app.theeye.shares import ShareTaken

Path = tuple[tuple[Hashable, Hashable], ...]  # names, each with the one above it; the uppermost have None
RESERVED = 8  # of so many parts one is for uppermost names that hold nothing yet
TRIED = 16  # queues that are tried when a part comes back: there may be one for each caller


class FairShares:
    """Give out a number of parts; those who queue get theirs in turn, a path after the other."""

    def __init__(self, parts: int) -> None:
        """Begin with nothing given out."""
        self._parts = parts
        self._reserve = parts // RESERVED
        self._lock = threading.Lock()
        self._used: dict[Hashable, int] = {}
        self._queues: OrderedDict[Path, deque[threading.Event]] = OrderedDict()

    @contextmanager
    def hold(self, path: Path, deadline: float) -> Iterator[None]:
        """Hold a part that counts for each name of the path; queue for it until the deadline. Raise ShareTaken."""
        self._enter(path, deadline)
        try:
            yield
        finally:
            with self._lock:
                self._put_back(path)

    def _enter(self, path: Path, deadline: float) -> None:
        with self._lock:
            if path not in self._queues and self._full(path) is None:
                self._count(path, +1)
                return
            given = threading.Event()
            self._queues.setdefault(path, deque()).append(given)
        try:
            if not given.wait(max(deadline - monotonic(), 0)):
                raise ShareTaken
        except BaseException:
            self._give_up(path, given)
            raise

    def _give_up(self, path: Path, given: threading.Event) -> None:
        with self._lock:
            if given.is_set():  # at the last moment
                self._put_back(path)
                return
            self._queues[path].remove(given)
            if not self._queues[path]:
                del self._queues[path]

    def _put_back(self, path: Path) -> None:
        """Take a part back, and give what is free to the next in the queues that may have it."""
        self._count(path, -1)
        if self._queues:
            for next_path in [*islice(self._queues, TRIED), path]:
                self._serve(next_path)

    def _serve(self, path: Path) -> None:
        """Give a part to the first in the path's queue if it may have one; the queue is then the last to be tried."""
        queue = self._queues.get(path)
        if queue is None:
            return
        if may_have := self._full(path) is None:
            self._count(path, +1)
            queue.popleft().set()
        if not queue:
            del self._queues[path]
        elif may_have or len(self._queues) > TRIED:
            self._queues.move_to_end(path)

    def _full(self, path: Path) -> Hashable | None:
        """Return the first name of the path that may hold no more, None where all of them may."""
        used = self._used.get
        room: dict[Hashable, int] = {None: self._parts}
        for name, above in path:
            own = used(name, 0)
            left = room[above] - used(above, 0) + own
            if above is None and own:
                left -= self._reserve
            room[name] = half = (left + 1) // 2
            if own >= half:
                return name
        return None

    def _count(self, path: Path, change: int) -> None:
        used = self._used
        for name in (None, *[name for name, _ in path]):
            count = used.get(name, 0) + change
            if count:
                used[name] = count
            else:
                del used[name]
