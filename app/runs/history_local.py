"""Queue the creates of one process."""

import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import NoFreeSlot
from app.runs.history import CHECK_SECONDS, CreateSlot


@dataclass(slots=True)
class _Task:
    """Hold the slots and the queue of a task; count the slots given (`entered`) and the creates that are done."""

    entered: int = 0
    done: int = 0
    creating: set[str] = field(default_factory=set)
    unread: dict[str, int] = field(default_factory=dict)  # each slot in use, with the value of `done` when it was given
    queue: deque["_Ticket"] = field(default_factory=deque)

    def has_room(self, limit: int) -> bool:
        """Return whether the oldest unread job would have fewer than `limit` newer jobs after another create."""
        oldest = next(iter(self.unread.values()), None)  # the first value is the lowest, since `done` only grows
        return oldest is None or self.entered - oldest < limit

    def created(self, slot: str) -> None:
        """Count the slot's create as done; a second call does nothing."""
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
    """Give slots to the creates of one process."""

    def __init__(self) -> None:
        """Start with no slot in use."""
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def acquire(self, task: str, limit: int, seconds_left: Callable[[], float]) -> CreateSlot:
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
        return CreateSlot(ticket.slot, queued)

    def created(self, task: str, slot: str) -> None:
        """Count the create as done, for the slots given from now on."""
        with self._lock:
            self._tasks[task].created(slot)

    def release(self, task: str, slot: str, nothing_started: bool = False) -> None:
        """Release the slot, and give slots to the first requests of the queue."""
        with self._lock:
            state = self._tasks[task]
            if nothing_started and slot in state.creating:  # no job was created
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
        self.release(task, ticket.slot, nothing_started=True)  # the slot was given meanwhile

    def _give_slots(self, task: str, state: _Task) -> None:
        while state.queue and state.has_room(state.queue[0].limit):
            ticket = state.queue.popleft()
            state.unread[ticket.slot] = state.done
            state.creating.add(ticket.slot)
            state.entered += 1
            ticket.given.set()
        if not state.queue and not state.unread:
            del self._tasks[task]
