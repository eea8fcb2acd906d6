"""Tell all waits of the process that their job may have ended, over one Redis subscription.

A notification is only a hint. Without Redis, and while it is down, there are none and the waits poll.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from time import monotonic
from typing import Any

from app.theeye.keepalive import redis_keep_alive

FINISHED = "*:job-finished:*"  # TheEye's: a job has ended
# Ours: a request in the history guard's queue has got its slot. `turn` stays: processes of older versions use it too.
SLOT_GIVEN = "theeye-sync:turn:*"
EARLY = 10_000  # notifications kept for jobs that are not known yet
LONGEST_ID = 100
PING_SECONDS = 1.0
PONG_SECONDS = 5.0
RETRY_SECONDS = 0.1, 3.0
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
        self._waiting: dict[str, list[threading.Event]] = {}
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
    def watch(self, job_id: str, since: int) -> Iterator[threading.Event]:
        """Yield an event that is set when the job may have ended; at once if that was so since the given epoch."""
        event = threading.Event()
        with self._lock:
            self._waiting.setdefault(job_id, []).append(event)
            if job_id in self._early:
                del self._early[job_id]
                self._unheard.clear()
                event.set()
            if since != self.epoch:
                event.set()
        try:
            yield event
        finally:
            with self._lock:
                events = self._waiting[job_id]
                events.remove(event)
                if not events:
                    del self._waiting[job_id]

    def is_watched(self, job_id: str) -> bool:
        """Return whether anybody waits for the job."""
        with self._lock:
            return job_id in self._waiting

    def notify(self, job_id: str) -> None:
        """Wake the waits for a job; keep the notification of an unknown job for a while."""
        with self._lock:
            events = self._waiting.get(job_id)
            for event in events or ():
                event.set()
            if events or job_id in self._unheard:
                self._unheard.clear()
            if not events:
                self._early[job_id] = None
                if len(self._early) > EARLY:
                    del self._early[next(iter(self._early))]

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

    def wake_all(self) -> None:
        """Make every wait look at its job again."""
        with self._lock:
            self.epoch += 1
            for events in self._waiting.values():
                for event in events:
                    event.set()


class RedisNotifications(Notifications):
    """Wake waits by TheEye's `job-finished` messages. The listener starts with the first wait, so after any fork."""

    def __init__(
        self, url: str, settle_seconds: float = 3.0, changed: Callable[[bool], None] = lambda live: None
    ) -> None:
        """Connect to nothing yet; the first request waits at most `settle_seconds`; `changed` gets each new `live`."""
        super().__init__()
        self._url = url
        self._settle_seconds = settle_seconds
        self._changed = changed
        self._settled = threading.Event()
        self._starting = threading.Lock()
        self._missed = False
        self._listening_in = 0  # the process, while the listener lives: gevent takes 10 µs to say whether a thread does

    @property
    def settled(self) -> bool:
        """Return whether it is clear by now if notifications arrive."""
        return self._settled.is_set()

    def keep_listening(self) -> None:
        """Start the listener in this process, also again where it has died."""
        if self._listening_in != os.getpid():
            self._start()

    def listen(self) -> None:
        """Start the listener, and wait for its subscription the first time."""
        self.keep_listening()
        if not self._settled.is_set():
            self._settled.wait(self._settle_seconds)

    def _start(self) -> None:
        with self._starting:
            if self._listening_in == os.getpid():
                return
            self._settled.clear()
            threading.Thread(target=self._listen, name="theeye-sync-listener", daemon=True).start()
            self._listening_in = os.getpid()

    def _listen(self) -> None:
        try:
            self._run()
        finally:
            with self._starting:  # not before `_start` is done
                self._listening_in = 0

    def _run(self) -> None:
        pause, most = RETRY_SECONDS
        while True:
            began = monotonic()
            try:
                self._subscribe_and_receive()
            except Exception as error:  # noqa: BLE001 - whatever it is, listening must go on
                self._lost(error)
            finally:
                if self.live:  # the thread itself is being ended
                    self._lost(SystemExit())
            pause = RETRY_SECONDS[0] if monotonic() - began > most else min(pause * 2, most)
            threading.Event().wait(pause)

    def _lost(self, error: BaseException) -> None:
        first = self.live or not self._settled.is_set()
        log.log(
            logging.WARNING if first else logging.DEBUG,
            "no notifications from Redis, polling carries all waits: %s",
            type(error).__name__,
        )
        self.live = False
        with self._lock:
            self._unheard.clear()  # those that ended meanwhile are not its fault
        self._changed(False)
        self._settled.set()
        if first:
            self.wake_all()

    def _subscribe_and_receive(self) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        client = redis.Redis.from_url(
            self._url,
            socket_connect_timeout=self._settle_seconds,
            socket_timeout=PING_SECONDS,
            **redis_keep_alive(self._url),
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # with 3, redis-py writes a log message of each notification, whether anybody reads it or not
        )
        with client, client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
            pubsub.psubscribe(FINISHED, SLOT_GIVEN)
            self._receive(pubsub, client)

    def _receive(self, pubsub: Any, client: Any) -> None:
        """Read messages for as long as Redis answers. Raise TimeoutError when it no longer does."""
        from redis.exceptions import TimeoutError as NothingCame

        heard = monotonic()
        while True:
            if self.misses != self._missed:
                self._tell_of_misses(client)
            try:
                # `get_message` costs twice as much, and it reconnects silently (docs/reliability.md).
                response = pubsub.connection.read_response(disconnect_on_error=False)
            except NothingCame:
                if monotonic() - heard > PONG_SECONDS:
                    raise
                pubsub.ping()
            else:
                heard = monotonic()
                self._handle(pubsub.handle_message(response))

    def _tell_of_misses(self, client: Any) -> None:
        """Say that notifications do not come, or do again: in the log, and in Redis for `theeye-sync check`."""
        from redis import RedisError

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

    def _handle(self, message: dict[str, Any]) -> None:
        if message["type"] == "pmessage":
            job_id = message["channel"].rpartition(b":")[2]
            if len(job_id) <= LONGEST_ID:
                self.notify(job_id.decode("utf-8", "replace"))
        elif message["type"] == "psubscribe" and message["data"] == 2:  # both patterns
            log.info("listening for notifications from Redis")
            self.live = True
            self._changed(True)
            self._settled.set()
            self.wake_all()


def make_notifications(redis_url: str, changed: Callable[[bool], None] | None = None) -> Notifications:
    """Return notifications over Redis; without a URL there are none. `changed` is told whether they arrive."""
    if not redis_url:
        return Notifications()
    return RedisNotifications(redis_url, changed=changed or (lambda live: None))
