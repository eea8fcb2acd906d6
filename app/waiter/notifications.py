"""Who is told when a job may have ended: the parked waits, by one Redis subscription for the whole process.

A notification is only a hint. Without Redis, and while it is down, nobody is told and the waits poll.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

FINISHED = "*:job-finished:*"  # TheEye's: a job has ended
TURNS = "theeye-sync:turn:*"  # ours: a place in the history guard's line has its turn
EARLY = 10_000  # notifications kept for jobs that are not known yet
LONGEST_ID = 100
PING_SECONDS = 1.0
PONG_SECONDS = 5.0
RETRY_SECONDS = 0.1, 3.0

log = logging.getLogger("theeye_sync.notifications")


class Wakeups:
    """The parked waits by job id. On its own it wakes nobody: the waits poll."""

    live = False

    def __init__(self) -> None:
        """Knows no wait yet."""
        self.epoch = 0
        self._lock = threading.Lock()
        self._parked: dict[str, list[threading.Event]] = {}
        self._early: dict[str, None] = {}

    def listen(self) -> None:
        """Returns once notifications arrive, or it is clear that for now they do not."""

    def keep_listening(self) -> None:
        """Starts listening again, should that ever have died."""

    @contextmanager
    def watch(self, job_id: str, since: int) -> Iterator[threading.Event]:
        """An event that is set when the job may have ended; at once where that was so since the epoch given."""
        event = threading.Event()
        with self._lock:
            self._parked.setdefault(job_id, []).append(event)
            if job_id in self._early or since != self.epoch:
                self._early.pop(job_id, None)
                event.set()
        try:
            yield event
        finally:
            with self._lock:
                events = self._parked[job_id]
                events.remove(event)
                if not events:
                    del self._parked[job_id]

    def is_watched(self, job_id: str) -> bool:
        """Whether any wait is parked for the job."""
        with self._lock:
            return job_id in self._parked

    def notify(self, job_id: str) -> None:
        """Wakes the waits for a job; one that is not known yet is kept for a while."""
        with self._lock:
            events = self._parked.get(job_id)
            for event in events or ():
                event.set()
            if not events:
                self._early[job_id] = None
                if len(self._early) > EARLY:
                    del self._early[next(iter(self._early))]

    def wake_all(self) -> None:
        """Makes every wait look again."""
        with self._lock:
            self.epoch += 1
            for events in self._parked.values():
                for event in events:
                    event.set()


class RedisWakeups(Wakeups):
    """Wakes the waits by TheEye's `job-finished` messages. Its thread starts with the first wait, after any fork."""

    def __init__(
        self, url: str, settle_seconds: float = 3.0, changed: Callable[[bool], None] = lambda live: None
    ) -> None:
        """`settle_seconds`: how long the first request waits for the subscription; `changed` is told of `live`."""
        super().__init__()
        self._url = url
        self._settle_seconds = settle_seconds
        self._changed = changed
        self._settled = threading.Event()
        self._starting = threading.Lock()
        self._listening_in = 0  # the process, while the listener lives: gevent takes 10 µs to say whether a thread does

    def keep_listening(self) -> None:
        """Starts the listener in this process, again if it ever died."""
        if self._listening_in != os.getpid():
            self._start()

    def listen(self) -> None:
        """Starts the listener, and the first time waits for its subscription."""
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
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # with 3, redis-py writes a log message of each notification, whether anybody reads it or not
        )
        with client, client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
            pubsub.psubscribe(FINISHED, TURNS)
            self._receive(pubsub)

    def _receive(self, pubsub: Any) -> None:
        """Reads messages for as long as Redis answers. Raises TimeoutError when it no longer does."""
        from redis.exceptions import TimeoutError as NothingCame

        heard = monotonic()
        while True:
            try:
                # What `get_message` does beyond this costs twice as much, and it reconnects without a word.
                response = pubsub.connection.read_response(disconnect_on_error=False)
            except NothingCame:
                if monotonic() - heard > PONG_SECONDS:
                    raise
                pubsub.ping()
            else:
                heard = monotonic()
                self._handle(pubsub.handle_message(response))

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


def wakeups(redis_url: str, changed: Callable[[bool], None] = lambda live: None) -> Wakeups:
    """By notification where there is a Redis, else by polling; `changed` is told whether they arrive."""
    return RedisWakeups(redis_url, changed=changed) if redis_url else Wakeups()
