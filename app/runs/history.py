"""Guard the history: delay creates so that TheEye deletes no job before its result was read.

TheEye keeps the newest N ended jobs of a task and deletes the others when it creates a job. So every create needs a
slot, and its job keeps the slot until its result was read or nobody waits for it any more. A slot is free while the
oldest job with a slot would still have fewer than N newer jobs; otherwise the create queues.

Creates that run at the same time may overtake each other. So a job counts as newer than another one, unless its create
was known to be done when the other one got its slot.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple, Protocol

from app.errors import SyncError
from app.runs.history_limits import Limits

CHECK_SECONDS = 1.0  # a queueing request checks so often whether its client has gone or the service stops


class CreateSlot(NamedTuple):
    """Permit one create; `queued` is whether the request had to wait for the slot."""

    id: str
    queued: bool


class Queue(Protocol):
    """Give slots to the creates of guarded tasks, in the order of their arrival."""

    def acquire(self, task: str, limit: int, seconds_left: Callable[[], float]) -> CreateSlot:
        """Wait for a slot and return it; the caller must release it. Raise NoFreeSlot when no seconds are left."""

    def created(self, task: str, slot: str) -> None:
        """Note that the create is done: its job is older than those of slots given from now on."""

    def release(self, task: str, slot: str, nothing_started: bool = False) -> None:
        """Release the slot, when the job was read or nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Protection:
    """Hold the seconds that a run queued, and the function to call when its create is done."""

    queued: float = 0.0
    created: Callable[[], None] = lambda: None


_NO_PROTECTION = nullcontext(Protection())


class HistoryGuard:
    """Delay creates, in the queue of all processes first, and then in the queue of this process.

    In the other order a request would arrive late at the common queue. So the queue of this process is empty, unless
    Redis is down or has lost slots.
    """

    def __init__(self, limits: Limits, queues: tuple[Queue, ...]) -> None:
        """Take the queues, in order; without any, nothing is guarded."""
        self.limits = limits
        self._queues = queues

    def protect(self, task: str, seconds_left: Callable[[], float]) -> AbstractContextManager[Protection]:
        """Wait until the job may be created, and protect it until the end of the `with` block. Raise NoFreeSlot.

        `seconds_left` returns how long the caller can still wait.
        """
        limit = self.limits.get(task)
        if limit is None or not self._queues:
            return _NO_PROTECTION
        return self._hold_slots(task, limit, seconds_left)

    @contextmanager
    def _hold_slots(self, task: str, limit: int, seconds_left: Callable[[], float]) -> Iterator[Protection]:
        began, nothing_started = monotonic(), False
        slots: list[tuple[Queue, CreateSlot]] = []
        try:
            for queue in self._queues:
                slots.append((queue, queue.acquire(task, limit, seconds_left)))
            queued = any(slot.queued for _, slot in slots)
            if queued:
                self.limits.advise(task, limit)
            yield Protection(monotonic() - began if queued else 0.0, lambda: _all_created(task, slots))
        except SyncError as error:
            nothing_started = error.job is None and not error.may_have_started
            raise
        finally:
            for queue, slot in reversed(slots):
                queue.release(task, slot.id, nothing_started)


def _all_created(task: str, slots: list[tuple[Queue, CreateSlot]]) -> None:
    for queue, slot in slots:
        queue.created(task, slot.id)
