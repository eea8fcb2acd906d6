"""Receive notifications about jobs from TheEye's Redis. While it is down, the waits poll."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from app.waiter.notifications import Notifications
from app.waiter.redis_names import (
    CHANGED,
    FINISHED,
    FLUSHED,
    SLOT_GIVEN,
    UNHEARD_NAME,
    WORKFLOW_CHANGED,
    WORKFLOW_FINISHED,
)
from app.waiter.subscription import Subscription
from app.waiter.wakers import Reason, Waker, Wakers

LONGEST_ID = 100
UNHEARD_KEPT = 24 * 3600  # seconds
WRONG = "jobs end, but their notifications do not arrive: is SYNC_REDIS_URL the Redis that TheEye publishes to?"

log = logging.getLogger("theeye_sync.notifications")


class RedisNotifications(Notifications):
    """Wake waits when TheEye's messages arrive."""

    def __init__(self, url: str, changed: Callable[[bool], None] | None = None) -> None:
        """Connect to nothing yet; call `changed` with each new value of `live`."""
        super().__init__()
        self._tell = changed
        self._missed = False
        patterns, more, between = (FINISHED, SLOT_GIVEN), (WORKFLOW_FINISHED,), self._tell_of_misses
        self._ends = Subscription(url, patterns, self._received, self._set_live, more=more, between=between)
        self._changes = Changes(url)

    @property
    def settled(self) -> bool:
        """Return whether it is known yet if notifications arrive."""
        return self._ends.settled

    @property
    def live(self) -> bool:
        """Return whether notifications arrive."""
        return self._ends.live

    def keep_listening(self) -> None:
        """Start the listener in this process if it does not run."""
        self._ends.ensure_running()
        self._changes.keep_listening()

    def listen(self) -> None:
        """Start the listener; the first time wait for its subscription."""
        self._ends.ensure_running()
        self._ends.settle()

    def watch_changes(self, job_id: str, waker: Waker) -> AbstractContextManager[None]:
        """Wake the waker also when the job may have changed."""
        return self._changes.watch(job_id, waker)

    def _received(self, channel: bytes) -> None:
        if channel == FLUSHED:
            self.wake_all(Reason.FLUSHED)
        elif (job_id := _job_id(channel)) is not None:
            self.notify(job_id)

    def _set_live(self, live: bool, why: str) -> None:
        if live:
            log.info("listening for notifications from Redis")
        else:
            log.warning("no notifications from Redis, the service polls TheEye: %s", why)
            self._unheard.clear()  # the connection is the reason for the missing ones
        if self._tell is not None:
            self._tell(live)
        self.wake_all()

    def _tell_of_misses(self, client: Any) -> None:
        """Report missing notifications, and their return, in the log and in Redis for `theeye-sync check`."""
        from redis import RedisError

        if self.misses == self._missed:
            return
        self._missed = not self._missed
        if self._missed:
            log.warning("%s", WRONG)
        else:
            log.info("notifications of this service's jobs arrive again")
        with suppress(RedisError):  # the user may have no right to write; the log and `/readyz` report it, too
            if self._missed:
                client.set(UNHEARD_NAME, "1", ex=UNHEARD_KEPT)
            else:
                client.delete(UNHEARD_NAME)


class Changes:
    """Listen for changes of jobs, only while any is watched: TheEye announces those of all jobs."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet."""
        self._watching = Wakers()
        wanted = self._watching.__bool__
        more = (WORKFLOW_CHANGED,)
        self._subscription = Subscription(url, (CHANGED,), self._received, self._set_live, more=more, wanted=wanted)

    @contextmanager
    def watch(self, job_id: str, waker: Waker) -> Iterator[None]:
        """Wake the waker at each change of the job."""
        self._watching.add(job_id, waker)
        try:
            self._subscription.ensure_running()
            yield
        finally:
            self._watching.remove(job_id, waker)

    def keep_listening(self) -> None:
        """Start the listener again if it has ended while a job is watched."""
        if self._watching:
            self._subscription.ensure_running()

    def _received(self, channel: bytes) -> None:
        if (job_id := _job_id(channel)) is not None:
            self._watching.wake(job_id, Reason.CHANGED)

    def _set_live(self, live: bool, _: str) -> None:
        """Let all waits look: changes before the subscription were not announced."""
        if live:
            self._watching.wake_all(Reason.CHANGED)


def _job_id(channel: bytes) -> str | None:
    """Return the id at the end of a channel's name, or None if it is too long for an id."""
    job_id = channel.rpartition(b":")[2]
    return job_id.decode("utf-8", "replace") if len(job_id) <= LONGEST_ID else None


def make_notifications(redis_url: str, changed: Callable[[bool], None] | None = None) -> Notifications:
    """Return notifications over Redis, or none without a URL; `changed` is called when they begin or stop to arrive."""
    return RedisNotifications(redis_url, changed) if redis_url else Notifications()
