"""Share the connections to a server fairly: callers whom it never answers must not use up all of them.

Names form a tree: customers, and below each its callers and its tasks. A name may use half of what the other names on
its level leave. So one customer uses at most half of all connections, and a second one that hangs half of the rest.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from itertools import islice
from time import monotonic

Names = tuple[tuple[Hashable, Hashable], ...]  # each name with its parent, None for those at the top
RESERVED = 8  # one of so many connections is for names at the top that use none yet
TRIED = 16  # so many queues are tried when a connection becomes free: each caller may have a queue


class ShareTaken(Exception):
    """Report that a name's share was used up until the deadline."""


class Shares:
    """Give out a number of parts (connections); serve the queues of different names in turn."""

    def __init__(self, parts: int) -> None:
        """Start with all parts free."""
        self._parts = parts
        self._reserve = parts // RESERVED
        self._lock = threading.Lock()
        self._used: dict[Hashable, int] = {}
        self._queues: OrderedDict[Names, deque[threading.Event]] = OrderedDict()

    @contextmanager
    def hold(self, names: Names, deadline: float) -> Iterator[None]:
        """Hold a part, counted for each of the names; queue for it until the deadline. Raise ShareTaken."""
        self._enter(names, deadline)
        try:
            yield
        finally:
            with self._lock:
                self._put_back(names)

    def _enter(self, names: Names, deadline: float) -> None:
        with self._lock:
            if names not in self._queues and self._has_room(names):
                self._count(names, +1)
                return
            given = threading.Event()
            self._queues.setdefault(names, deque()).append(given)
        try:
            if not given.wait(max(deadline - monotonic(), 0)):
                raise ShareTaken
        except BaseException:
            self._give_up(names, given)
            raise

    def _give_up(self, names: Names, given: threading.Event) -> None:
        with self._lock:
            if given.is_set():  # the part was given meanwhile
                self._put_back(names)
                return
            self._queues[names].remove(given)
            if not self._queues[names]:
                del self._queues[names]

    def _put_back(self, names: Names) -> None:
        """Take a part back, and give free parts to the next in the queues whose share allows it."""
        self._count(names, -1)
        if self._queues:
            for each in [*islice(self._queues, TRIED), names]:
                self._serve(each)

    def _serve(self, names: Names) -> None:
        """Give a part to the first in a queue if its share allows it; then move the queue to the end."""
        queue = self._queues.get(names)
        if queue is None:
            return
        if may_have := self._has_room(names):
            self._count(names, +1)
            queue.popleft().set()
        if not queue:
            del self._queues[names]
        elif may_have or len(self._queues) > TRIED:
            self._queues.move_to_end(names)

    def _has_room(self, names: Names) -> bool:
        """Return whether each of the names may use another part."""
        used = self._used.get
        room: dict[Hashable, int] = {None: self._parts}
        for name, above in names:
            own = used(name, 0)
            left = room[above] - used(above, 0) + own
            if above is None and own:
                left -= self._reserve
            room[name] = half = (left + 1) // 2
            if own >= half:
                return False
        return True

    def _count(self, names: Names, change: int) -> None:
        used = self._used
        for name in (None, *[name for name, _ in names]):
            count = used.get(name, 0) + change
            if count:
                used[name] = count
            else:
                del used[name]
