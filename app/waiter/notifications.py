"""Tell all waits of the process that their job may have ended, or has changed, over Redis subscriptions.

A notification is only a hint. Without Redis, and while it is down, there are none and the waits poll.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import islice
from time import monotonic
from typing import Any

from app.waiter.signal import Signal, Signals, Wake
from app.waiter.subscription import FLUSHED, PONG_SECONDS, Subscription

FINISHED = "*:job-finished:*"  # TheEye's: a job has ended
CHANGED = "*:job-crud:*"  # TheEye's: a job has changed
# Ours: a request in the history guard's queue has got its slot. `turn` stays: processes of older versions use it too.
SLOT_GIVEN = "theeye-sync:turn:*"
EARLY = 10_000  # notifications kept for jobs that are not known yet
LONGEST_ID = 100
# Redis is told apart from TheEye's by the ends that it did not tell of: so many since the last one that it did tell of.
# A notification can be seconds late, and a Redis that is frozen is known to be after PONG_SECONDS.
UNHEARD, LATE_SECONDS = 3, PONG_SECONDS + 1
UNHEARD_NAME, UNHEARD_KEPT = "theeye-sync:unheard", 24 * 3600  # tells `theeye-sync check`; seconds
WRONG = "jobs end and their notifications do not come: is SYNC_REDIS_URL the Redis that TheEye publishes to?"

log = logging.getLogger("theeye_sync.notifications")


class Notifications:
    """Hold the waits by job id. This class alone wakes none of them: they poll."""

    live = False

    def __init__(self) -> None:
        """Know no wait yet."""
        self.epoch = 0
        self._lock = threading.Lock()
        self._waiting = Signals()
        self._early: dict[str, None] = {}
        self._unheard: dict[str, float] = {}  # jobs found ended since the last own notification, and when

    @property
    def settled(self) -> bool:
        """Return whether it is clear by now if notifications arrive."""
        return True

    def listen(self) -> None:
        """Return once notifications arrive, or once it is clear that they do not for now."""

    def keep_listening(self) -> None:
        """Start the listener again where it has died."""

    @contextmanager
    def watch(self, job_id: str, since: int) -> Iterator[Signal]:
        """Yield a signal that is given when the job may have ended; at once if that was so since the given epoch."""
        signal = Signal()
        with self._waiting.hold(job_id, signal):
            with self._lock:
                if job_id in self._early:
                    del self._early[job_id]
                    self._unheard.clear()
                    signal.give(Wake.TOLD)
                if since != self.epoch:
                    signal.give(Wake.MISSED)
            yield signal

    def watch_changes(self, job_id: str, signal: Signal) -> AbstractContextManager[None]:
        """Give the signal also when the job may have changed."""
        return nullcontext()

    def is_watched(self, job_id: str) -> bool:
        """Return whether anybody waits for the job."""
        return job_id in self._waiting

    def notify(self, job_id: str) -> None:
        """Wake the waits for a job; keep the notification of an unknown job for a while."""
        with self._lock:
            is_watched = job_id in self._waiting
            if is_watched or job_id in self._unheard:
                self._unheard.clear()
            if not is_watched:
                self._early[job_id] = None
                if len(self._early) > EARLY:
                    del self._early[next(iter(self._early))]
        self._waiting.give(job_id, Wake.TOLD)

    def found_unheard(self, job_id: str) -> None:
        """Note a job whose end a look has found, while no notification told of it; one may come late."""
        with self._lock:
            if len(self._unheard) < EARLY:
                self._unheard.setdefault(job_id, monotonic())

    @property
    def misses(self) -> bool:
        """Return whether the notifications of our jobs do not come, although Redis is heard."""
        with self._lock:
            last = next(islice(self._unheard.values(), UNHEARD - 1, None), None)
        return last is not None and monotonic() - last > LATE_SECONDS

    def wake_all(self, reason: Wake = Wake.MISSED) -> None:
        """Wake every wait, by default to look at its job again."""
        with self._lock:
            self.epoch += 1
        self._waiting.give_all(reason)


class RedisNotifications(Notifications):
    """Wake waits by TheEye's messages."""

    def __init__(self, url: str, changed: Callable[[bool], None] = lambda live: None) -> None:
        """Connect to nothing yet; `changed` gets each new `live`."""
        super().__init__()
        self._tell = changed
        self._missed = False
        patterns = (FINISHED, SLOT_GIVEN)
        self._ends = Subscription(url, patterns, self._received, self._set_live, between=self._tell_of_misses)
        self._changes = Changes(url)

    @property
    def settled(self) -> bool:
        """Return whether it is clear by now if notifications arrive."""
        return self._ends.settled

    @property
    def live(self) -> bool:  # type: ignore[override]
        """Return whether notifications arrive."""
        return self._ends.live

    def keep_listening(self) -> None:
        """Start the listener in this process, also again where it has died."""
        self._ends.ensure_running()
        self._changes.keep_listening()

    def listen(self) -> None:
        """Start the listener, and wait for its subscription the first time."""
        self._ends.ensure_running()
        self._ends.settle()

    def watch_changes(self, job_id: str, signal: Signal) -> AbstractContextManager[None]:
        """Give the signal also when the job may have changed."""
        return self._changes.watch(job_id, signal)

    def _received(self, channel: bytes) -> None:
        if channel == FLUSHED:
            self.wake_all(Wake.FLUSHED)
        elif (job_id := _job_id(channel)) is not None:
            self.notify(job_id)

    def _set_live(self, live: bool, why: str) -> None:
        if live:
            log.info("listening for notifications from Redis")
        else:
            log.warning("no notifications from Redis, polling carries all waits: %s", why)
            with self._lock:
                self._unheard.clear()  # those that ended meanwhile are not its fault
        self._tell(live)
        self.wake_all()

    def _tell_of_misses(self, client: Any) -> None:
        """Say when notifications do not come, or do again: in the log, and in Redis for `theeye-sync check`."""
        from redis import RedisError

        if self.misses == self._missed:
            return
        self._missed = not self._missed
        if self._missed:
            log.warning("%s", WRONG)
        else:
            log.info("notifications of our jobs come again")
        with suppress(RedisError):
            if self._missed:
                client.set(UNHEARD_NAME, "1", ex=UNHEARD_KEPT)
            else:
                client.delete(UNHEARD_NAME)


class Changes:
    """Listen for the changes of jobs while any is watched: TheEye tells of those of all jobs."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet."""
        self._watching = Signals()
        wanted = self._watching.__bool__
        self._subscription = Subscription(url, (CHANGED,), self._received, self._set_live, wanted=wanted)

    @contextmanager
    def watch(self, job_id: str, signal: Signal) -> Iterator[None]:
        """Give the signal at each change of the job."""
        with self._watching.hold(job_id, signal):
            self._subscription.ensure_running()
            yield

    def keep_listening(self) -> None:
        """Start the listener again where it has died, or ended right before a job was watched."""
        if self._watching:
            self._subscription.ensure_running()

    def _received(self, channel: bytes) -> None:
        if (job_id := _job_id(channel)) is not None:
            self._watching.give(job_id, Wake.CHANGED)

    def _set_live(self, live: bool, _: str) -> None:
        """Have all jobs looked at: what changed before was not told."""
        if live:
            self._watching.give_all(Wake.CHANGED)


def _job_id(channel: bytes) -> str | None:
    """Return the id at the end of a channel's name; None for one that no job can have."""
    job_id = channel.rpartition(b":")[2]
    return job_id.decode("utf-8", "replace") if len(job_id) <= LONGEST_ID else None


def make_notifications(redis_url: str, changed: Callable[[bool], None] | None = None) -> Notifications:
    """Return notifications over Redis; without a URL there are none. `changed` is told whether they arrive."""
    if not redis_url:
        return Notifications()
    return RedisNotifications(redis_url, changed=changed or (lambda live: None))
