"""Queue the creates of all processes and replicas, in Redis; the slots of a dead process expire."""

import logging
import threading
import uuid
from collections.abc import Callable
from time import monotonic

from app.errors import NoFreeSlot
from app.runs.history import CHECK_SECONDS, CreateSlot
from app.runs.redis_scripts import RedisScripts, RedisUnavailable
from app.waiter.notifications import Notifications
from app.waiter.redis_names import PREFIX, SLOT_GIVEN
from app.waiter.ticker import Ticker
from app.waiter.wakers import Waker

LEASE_SECONDS = 15.0  # a slot expires after this time without renewal
RENEW_SECONDS = 4.0
PARTS = ("unread", "queue", "lease", "limits", "creating", "numbers")  # ends of a task's names in Redis

log = logging.getLogger("theeye_sync.history")


class RedisQueue:
    """Queue the creates of all processes. While Redis is down, give every slot at once: only LocalQueue guards then."""

    def __init__(self, scripts: RedisScripts, notifications: Notifications) -> None:
        """Start nothing yet: the thread that renews slots starts with the first slot, which comes after any fork."""
        self._scripts = scripts
        self._notifications = notifications
        self._lock = threading.Lock()
        self._tasks: dict[str, str] = {}  # the task of each slot that is in use or in the queue
        self._used: set[str] = set()
        self._created: dict[str, list[str]] = {}
        self._renewer = Ticker("theeye-sync-slots", self._renew_all, RENEW_SECONDS)

    def acquire(self, task: str, limit: int, seconds_left: Callable[[], float]) -> CreateSlot:
        """Return a slot, with one call to Redis if one is free. Raise NoFreeSlot."""
        slot, queued = uuid.uuid4().hex, False
        self._keep(slot, task)
        try:
            with self._notifications.watch(slot, self._notifications.epoch) as given:
                while not self._step("acquire", task, slot, limit):
                    queued = True
                    self._pause(given, seconds_left)
        except RedisUnavailable:
            pass  # `/readyz` reports it
        except BaseException:
            self.release(task, slot, nothing_started=True)
            raise
        self._used.add(slot)
        return CreateSlot(slot, queued)

    def _pause(self, given: Waker, seconds_left: Callable[[], float]) -> None:
        """Return when the slot may have been given, or its lease has to be renewed. Raise NoFreeSlot."""
        end = monotonic() + (RENEW_SECONDS if self._notifications.live else CHECK_SECONDS)
        while (pause := end - monotonic()) > 0:
            if (seconds := seconds_left()) <= 0:
                raise NoFreeSlot
            if given.wait(min(seconds, pause, CHECK_SECONDS)):
                return

    def created(self, task: str, slot: str) -> None:
        """Note that the create is done, without a call to Redis: the next step for the task sends it along."""
        with self._lock:
            self._created.setdefault(task, []).append(slot)

    def release(self, task: str, slot: str, nothing_started: bool = False) -> None:
        """Release a slot with one call to Redis; if that fails, the slot expires."""
        with self._lock:
            self._tasks.pop(slot, None)
            self._used.discard(slot)
        try:
            self._step("undo" if nothing_started else "release", task, slot, 0)
        except RedisUnavailable as error:
            log.debug("a slot is left to expire: %s", error)

    def _step(self, step: str, task: str, slot: str, limit: int) -> bool:
        with self._lock:
            created = self._created.pop(task, [])
        channel = SLOT_GIVEN.removesuffix("*")
        arguments = (step, slot, limit, int(LEASE_SECONDS * 1000), channel)
        return bool(self._scripts.run("history_step", _names(task, *PARTS), (*arguments, *created)))

    def _keep(self, slot: str, task: str) -> None:
        """Renew the slot's lease from now on."""
        with self._lock:
            self._tasks[slot] = task
        self._renewer.ensure_running()

    def _renew_all(self) -> None:
        with self._lock:
            tasks = {slot: task for slot, task in self._tasks.items() if slot in self._used}
        try:
            for task in set(tasks.values()):
                self._renew(task, [slot for slot in tasks if tasks[slot] == task])
        except RedisUnavailable as error:
            log.debug("slots were not renewed: %s", error)

    def _renew(self, task: str, slots: list[str]) -> None:
        names = _names(task, "unread", "lease", "numbers")
        self._scripts.run("history_renew", names, (int(LEASE_SECONDS * 1000), *slots))
        for slot in slots:
            if slot not in self._used:  # it was released meanwhile, and the renewal has restored it
                self._step("release", task, slot, 0)


def _names(task: str, *parts: str) -> list[str]:
    return [f"{PREFIX}:{{{task}}}:{part}" for part in parts]
