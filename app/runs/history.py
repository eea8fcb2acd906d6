"""Guard the history: TheEye deletes no job before its result was read.

TheEye keeps the newest N ended jobs of a task and deletes the others when it creates a job. So every create needs a
slot, and its job keeps the slot until its result was read or nobody waits for it any more. A slot is free while the
oldest job with a slot would still have fewer than N newer jobs; otherwise the create queues.

Creates that run at the same time may overtake each other. So a job counts as newer than another one unless its create
was known to be done when the other one got its slot.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, Protocol

from app.errors import NoFreeSlot, SyncError

UNKNOWN_LIMIT = 5  # TheEye's default
CHECK_SECONDS = 1.0  # how often a queueing request checks whether its client has gone or the service stops
TASKS = 10_000  # whose limits are remembered at the most

log = logging.getLogger("theeye_sync.history")


class Slot(NamedTuple):
    """Permit one create; `queued`: whether the request had to wait for it."""

    id: str
    queued: bool


class Queue(Protocol):
    """Let the creates of guarded tasks wait for a slot, first come, first served."""

    def acquire(self, task: str, limit: int, seconds_left: Callable[[], float]) -> Slot:
        """Return a slot, which must be released; wait for it. Raise NoFreeSlot when no seconds are left."""

    def created(self, task: str, slot: str) -> None:
        """Note that the create is done: the job is older than those that get a slot from now on."""

    def release(self, task: str, slot: str, nothing_started: bool = False) -> None:
        """Release the slot: the job was read, or nobody waits for it any more."""


@dataclass(slots=True)
class _Task:
    """Count the slots of a task that were given and the creates that are done; hold the slots in use and the queue."""

    entered: int = 0
    done: int = 0
    creating: set[str] = field(default_factory=set)
    unread: dict[str, int] = field(default_factory=dict)  # each slot in use, with `done` as it was when it was given
    queue: deque["_Ticket"] = field(default_factory=deque)

    def has_room(self, limit: int) -> bool:
        """Return whether the oldest unread job would have fewer than `limit` newer ones with one job more."""
        oldest = next(iter(self.unread.values()), None)  # the first is the lowest: `done` only grows
        return oldest is None or self.entered - oldest < limit

    def created(self, slot: str) -> None:
        """Count the slot's create as done, once."""
        if slot in self.creating:
            self.creating.remove(slot)
            self.done += 1


@dataclass(slots=True)
class _Ticket:
    """Hold a request in the queue, and the slot that it will get."""

    slot: str
    limit: int
    given: threading.Event = field(default_factory=threading.Event)


class LocalQueue:
    """Queue the creates of one process."""

    def __init__(self) -> None:
        """Start with no slot in use."""
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def acquire(self, task: str, limit: int, seconds_left: Callable[[], float]) -> Slot:
        """Return a slot. Raise NoFreeSlot."""
        ticket = _Ticket(uuid.uuid4().hex, limit)
        with self._lock:
            state = self._tasks.setdefault(task, _Task())
            state.queue.append(ticket)
            self._give_slots(task, state)
        queued = not ticket.given.is_set()
        try:
            while not ticket.given.is_set():
                if (seconds := seconds_left()) <= 0:
                    raise NoFreeSlot
                ticket.given.wait(min(seconds, CHECK_SECONDS))
        except BaseException:
            self._give_up(task, ticket)
            raise
        return Slot(ticket.slot, queued)

    def created(self, task: str, slot: str) -> None:
        """Note it for the slots to be given."""
        with self._lock:
            self._tasks[task].created(slot)

    def release(self, task: str, slot: str, nothing_started: bool = False) -> None:
        """Release the slot, and give slots to the requests at the head of the queue."""
        with self._lock:
            state = self._tasks[task]
            if nothing_started and slot in state.creating:  # there is no newer job
                state.creating.remove(slot)
                state.entered -= 1
            state.created(slot)
            del state.unread[slot]
            self._give_slots(task, state)

    def _give_up(self, task: str, ticket: _Ticket) -> None:
        with self._lock:
            state = self._tasks[task]
            if not ticket.given.is_set():
                state.queue.remove(ticket)
                self._give_slots(task, state)
                return
        self.release(task, ticket.slot, nothing_started=True)  # it was given at the last moment

    def _give_slots(self, task: str, state: _Task) -> None:
        while state.queue and state.has_room(state.queue[0].limit):
            ticket = state.queue.popleft()
            state.unread[ticket.slot] = state.done
            state.creating.add(ticket.slot)
            state.entered += 1
            ticket.given.set()
        if not state.queue and not state.unread:
            del self._tasks[task]


class Limits:
    """Remember how many ended jobs each task keeps, as last seen in a document of TheEye's."""

    def __init__(self, enough: int) -> None:
        """Know none yet; a task that keeps at least `enough` jobs needs no guard."""
        self._enough = enough
        self._known: dict[str, int | None] = {}
        self._advised: set[str] = set()

    def get(self, task: str) -> int | None:
        """Return the limit to guard; None where there is nothing to guard."""
        return self._known.get(task, UNKNOWN_LIMIT)

    def learn(self, task: str, document: Mapping[str, Any]) -> None:
        """Take the limit from a task, or from a job with its task inside; ignore a document that has none."""
        inner = document.get("task")
        for source in (document, inner if isinstance(inner, dict) else {}):
            limit = source.get("autoremove_completed_jobs_limit")
            if source.get("autoremove_completed_jobs") is False:
                self._keep(task, None)
            elif isinstance(limit, int) and not isinstance(limit, bool):
                limit = limit or UNKNOWN_LIMIT  # TheEye takes 0 for its default, and deletes nothing at a negative one
                self._keep(task, limit if 0 < limit < self._enough else None)
            else:
                continue
            return

    def _keep(self, task: str, limit: int | None) -> None:
        if len(self._known) >= TASKS and task not in self._known:
            self._known.clear()
        self._known[task] = limit

    def advise(self, task: str, limit: int) -> None:
        """Advise the operator, once for each task whose callers had to queue."""
        if task not in self._advised:
            self._advised.add(task)
            log.warning(
                "callers of task %s queue, since TheEye keeps only its newest %d jobs: "
                "raise its autoremove_completed_jobs_limit",
                task,
                limit,
            )


@dataclass(frozen=True, slots=True)
class Protection:
    """Hold the seconds that a guarded run queued, and what to call when its create is done."""

    queued: float = 0.0
    created: Callable[[], None] = lambda: None


_NO_PROTECTION = nullcontext(Protection())


class HistoryGuard:
    """Hold creates back, first among the requests of all processes, then among those of this process.

    A request that queued in its process first would arrive late at the queue of all. So what one process gives is among
    what all have: its own queue is empty unless Redis is down, or has lost slots.
    """

    def __init__(self, limits: Limits, queues: tuple[Queue, ...]) -> None:
        """Guard nothing if there are no queues."""
        self.limits = limits
        self._queues = queues

    def protect(self, task: str, seconds_left: Callable[[], float]) -> AbstractContextManager[Protection]:
        """Wait until the job may be created, and protect it until the end of the `with` block.

        `seconds_left`: that the caller can still wait. Raise NoFreeSlot.
        """
        limit = self.limits.get(task)
        if limit is None or not self._queues:
            return _NO_PROTECTION
        return self._hold_slots(task, limit, seconds_left)

    @contextmanager
    def _hold_slots(self, task: str, limit: int, seconds_left: Callable[[], float]) -> Iterator[Protection]:
        began, nothing_started = monotonic(), False
        slots: list[tuple[Queue, Slot]] = []
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


def _all_created(task: str, slots: list[tuple[Queue, Slot]]) -> None:
    for queue, slot in slots:
        queue.created(task, slot.id)
