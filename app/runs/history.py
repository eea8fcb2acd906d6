"""The history guard: no job gets so many newer ones that TheEye deletes it before it was read.

TheEye deletes a task's ended jobs beyond its newest N when it creates one. So a create that would be the N-th
newer than the oldest unread job waits its turn: a window that slides over the task's jobs in order of creation.

Creates that are under way at once may overtake each other. So what counts as newer than a job is every job whose
create was not known to be done when that job's create was let through.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, Protocol

from app.errors import SyncError, TurnNeverCame

UNKNOWN_LIMIT = 5  # TheEye's default
LOOK_AGAIN_SECONDS = 1.0  # how soon a queueing caller that has gone, or a service that stops, is noticed
TASKS = 10_000

log = logging.getLogger("theeye_sync.history")


class Place(NamedTuple):
    """A place in a line, and whether its turn had to be waited for."""

    name: str
    waited: bool


class Line(Protocol):
    """Where creates of guarded tasks wait their turn."""

    def enter(self, task: str, limit: int, left: Callable[[], float]) -> "Place":
        """A place, to be left again; waits for it. Raises TurnNeverCame when no seconds are left."""

    def created(self, task: str, place: str) -> None:
        """The create is done: the job is older than those that enter from now on."""

    def leave(self, task: str, place: str, nothing_started: bool = False) -> None:
        """The job was read, or nobody waits for it any more."""


@dataclass(slots=True)
class _Task:
    """`unread`: each place with the number of creates that were done when it was let in."""

    entered: int = 0
    done: int = 0
    creating: set[str] = field(default_factory=set)
    unread: dict[str, int] = field(default_factory=dict)
    queue: deque["_Ticket"] = field(default_factory=deque)


@dataclass(slots=True)
class _Ticket:
    place: str
    limit: int
    called: threading.Event = field(default_factory=threading.Event)


class LocalLine:
    """The line of one process."""

    def __init__(self) -> None:
        """Nobody stands in it."""
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def enter(self, task: str, limit: int, left: Callable[[], float]) -> Place:
        """First come, first served."""
        ticket = _Ticket(uuid.uuid4().hex, limit)
        with self._lock:
            state = self._tasks.setdefault(task, _Task())
            state.queue.append(ticket)
            self._call_next(task, state)
        waited = not ticket.called.is_set()
        while not ticket.called.is_set() and (seconds := left()) > 0:
            ticket.called.wait(min(seconds, LOOK_AGAIN_SECONDS))
        with self._lock:
            if ticket.called.is_set():
                return Place(ticket.place, waited)
            state.queue.remove(ticket)
            self._call_next(task, state)
        raise TurnNeverCame

    def created(self, task: str, place: str) -> None:
        """Costs nothing but the lock."""
        with self._lock:
            _done(self._tasks[task], place)

    def leave(self, task: str, place: str, nothing_started: bool = False) -> None:
        """Calls those whose turn it now is."""
        with self._lock:
            state = self._tasks[task]
            if nothing_started and place in state.creating:  # there is no newer job
                state.creating.remove(place)
                state.entered -= 1
            _done(state, place)
            del state.unread[place]
            self._call_next(task, state)

    def _call_next(self, task: str, state: _Task) -> None:
        while state.queue and _fits(state, state.queue[0].limit):
            ticket = state.queue.popleft()
            state.unread[ticket.place] = state.done
            state.creating.add(ticket.place)
            state.entered += 1
            ticket.called.set()
        if not state.queue and not state.unread:
            del self._tasks[task]


def _fits(state: _Task, limit: int) -> bool:
    """Whether one more job leaves the oldest unread one with fewer than `limit` newer ones."""
    oldest = next(iter(state.unread.values()), None)  # the first is the lowest: `done` only grows
    return oldest is None or state.entered - oldest < limit


def _done(state: _Task, place: str) -> None:
    if place in state.creating:
        state.creating.remove(place)
        state.done += 1


class Limits:
    """How many ended jobs each task keeps, as last seen in a document of TheEye's."""

    def __init__(self, enough: int) -> None:
        """`enough`: a limit so large that no guard is needed."""
        self._enough = enough
        self._known: dict[str, int | None] = {}
        self._advised: set[str] = set()

    def is_known(self, task: str) -> bool:
        """Whether a document of this task was seen."""
        return task in self._known

    def get(self, task: str) -> int | None:
        """The limit to guard; None where there is nothing to guard."""
        return self._known.get(task, UNKNOWN_LIMIT)

    def learn(self, task: str, document: Mapping[str, Any]) -> None:
        """Takes the limit from a task, or from a job with its task inside; what says nothing changes nothing."""
        inner = document.get("task")
        for source in (document, inner if isinstance(inner, dict) else {}):
            limit = source.get("autoremove_completed_jobs_limit")
            if source.get("autoremove_completed_jobs") is False:
                self._keep(task, None)
            elif isinstance(limit, int) and not isinstance(limit, bool):
                self._keep(task, max(limit, 1) if limit < self._enough else None)
            else:
                continue
            return

    def assume(self, task: str) -> None:
        """TheEye's default, for a task that says nothing."""
        if task not in self._known:
            self._keep(task, UNKNOWN_LIMIT)

    def _keep(self, task: str, limit: int | None) -> None:
        if len(self._known) >= TASKS and task not in self._known:
            self._known.clear()
        self._known[task] = limit

    def advise(self, task: str, limit: int) -> None:
        """Tells the operator, once for each task, that callers had to queue."""
        if task not in self._advised:
            self._advised.add(task)
            log.warning(
                "callers of task %s queue, since TheEye keeps only its newest %d jobs: "
                "raise its autoremove_completed_jobs_limit",
                task,
                limit,
            )


@dataclass(slots=True)
class Turn:
    """A turn: how long it was waited for, and what to call when the create is done."""

    queued: float = 0.0  # seconds
    created: Callable[[], None] = lambda: None


class HistoryGuard:
    """Holds creates back, first among the callers of this process, then among all processes."""

    def __init__(self, limits: Limits, lines: tuple[Line, ...]) -> None:
        """No lines: the guard is off."""
        self.limits = limits
        self._lines = lines

    @property
    def is_on(self) -> bool:
        """Whether anything is guarded at all."""
        return bool(self._lines)

    @contextmanager
    def turn(self, task: str, left: Callable[[], float]) -> Iterator[Turn]:
        """Entered when the job may be created, left when it needs no protection any more.

        `left`: the seconds that the caller can still wait. Raises TurnNeverCame.
        """
        limit = self.limits.get(task)
        if limit is None or not self._lines:
            yield Turn()
            return
        began, waited, nothing = monotonic(), False, False
        places: list[tuple[Line, str]] = []
        try:
            for line in self._lines:
                place = line.enter(task, limit, left)
                places.append((line, place.name))
                waited = waited or place.waited
            if waited:
                self.limits.advise(task, limit)
            yield Turn(monotonic() - began if waited else 0.0, lambda: _all_created(task, places))
        except SyncError as error:
            nothing = error.job is None and not error.may_have_started
            raise
        finally:
            for line, name in reversed(places):
                line.leave(task, name, nothing)


def _all_created(task: str, places: list[tuple[Line, str]]) -> None:
    for line, name in places:
        line.created(task, name)
