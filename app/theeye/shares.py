"""Share the connections to a server fairly: callers whom it never answers must not use up all of them.

Names form a tree: customers, and below each its callers and its tasks. A name may use half of what the other names on
its level leave. So one customer uses at most half of all connections, and a second one that hangs half of the rest.
"""

import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Hashable
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
        self._used: defaultdict[Hashable, int] = defaultdict(int)
        self._queues: OrderedDict[Names, deque[threading.Event]] = OrderedDict()

    def take(self, names: Names, deadline: float) -> None:
        """Take a part, counted for each of the names; queue for it until the deadline. Raise ShareTaken."""
        with self._lock:
            if not (self._queues and names in self._queues) and self._has_room(names):
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

    def give_back(self, names: Names) -> None:
        """Give back a part that was taken with these names."""
        with self._lock:
            self._put_back(names)

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
        room: dict[Hashable, tuple[int, int]] = {None: (self._parts, used(None, 0))}  # with the parts in use
        for name, above in names:
            own = used(name, 0)
            most, in_use = room[above]
            left = most - in_use + own
            if above is None and own:
                left -= self._reserve
            half = (left + 1) // 2
            if own >= half:
                return False
            room[name] = half, own
        return True

    def _count(self, names: Names, change: int) -> None:
        used = self._used
        for name, _ in ((None, None), *names):
            if count := used[name] + change:
                used[name] = count
            else:
                del used[name]
