"""Subscribe to channels of Redis in a thread of its own, again and again while it is wanted."""

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from app.waiter.process_thread import ProcessThread
from app.waiter.redis_names import FLUSHED

PING_SECONDS = 1.0
PONG_SECONDS = 5.0
RETRY_SECONDS = 0.1, 3.0
SETTLE_SECONDS = 3.0  # that connecting may take, and that the first request waits for it at the most

log = logging.getLogger("theeye_sync.notifications")


class Subscription:
    """Receive the messages of some patterns of channels."""

    live = False

    def __init__(
        self,
        url: str,
        patterns: tuple[str, ...],
        receive: Callable[[bytes], None],
        changed: Callable[[bool, str], None],
        *,
        more: tuple[str, ...] = (),
        between: Callable[[Any], None] = lambda client: None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Connect to nothing yet. `more` patterns are wanted too, but those that the user may not have are left out.

        `receive` gets the channel of each message, `changed` each new `live` and why it was lost, `between` the client
        once a second at least; the thread ends when it is not `wanted` any more.
        """
        self._url = url
        self._patterns = patterns
        self._more = more
        self._receive = receive
        self._changed = changed
        self._between = between
        self._wanted = wanted
        self._settled = threading.Event()
        self._thread = ProcessThread("theeye-sync-listener", self._run)

    @property
    def settled(self) -> bool:
        """Return whether it is clear by now if messages arrive."""
        return self._settled.is_set()

    def settle(self) -> None:
        """Return once it is clear."""
        if not self._settled.is_set():
            self._settled.wait(SETTLE_SECONDS)

    def ensure_running(self) -> None:
        """Start the thread in this process, also again where it has died."""
        self._thread.ensure_running()

    def _run(self) -> None:
        try:
            self._listen()
        finally:
            self._settled.clear()  # the next thread has to find out again

    def _listen(self) -> None:
        pause, most = RETRY_SECONDS
        while self._wanted():
            began = monotonic()
            try:
                self._subscribe_and_receive()
            except Exception as error:  # noqa: BLE001 - whatever it is, listening must go on
                self._set_live(False, getattr(error, "words", type(error).__name__))
            finally:
                if self.live:  # the thread is being ended, or is not wanted any more
                    self._set_live(False, "the listener ends")
            pause = RETRY_SECONDS[0] if monotonic() - began > most else min(pause * 2, most)
            if self._wanted():
                threading.Event().wait(pause)

    def _set_live(self, live: bool, why: str = "") -> None:
        """Tell of it where it is news."""
        if live != self.live or not self._settled.is_set():
            self.live = live
            self._changed(live, why)
            self._settled.set()
        else:
            log.debug("still no notifications from Redis: %s", why)

    def _subscribe_and_receive(self) -> None:
        from app.waiter.redis_client import make_client

        client = make_client(self._url, SETTLE_SECONDS, PING_SECONDS)
        with client, client.pubsub() as pubsub:
            pubsub.connection = client.connection_pool.get_connection()
            _track_flushes(pubsub.connection)
            for pattern in self._more:
                _try_pattern(pubsub.connection, pattern)
            pubsub.psubscribe(*self._patterns)
            self._handle_all(pubsub, client)

    def _handle_all(self, pubsub: Any, client: Any) -> None:
        """Handle messages for as long as Redis answers. Raise TimeoutError when it no longer does."""
        from redis.exceptions import TimeoutError as NothingCame

        heard = monotonic()
        while self._wanted():
            self._between(client)
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

    def _handle(self, message: dict[str, Any]) -> None:
        if message["type"] in ("pmessage", "message"):
            self._receive(message["channel"])
        elif message["type"] == "psubscribe" and message["channel"] == self._patterns[-1].encode():
            self._set_live(True)


def _try_pattern(connection: Any, pattern: str) -> None:
    """Subscribe to a pattern; rules that were written for versions before it refuse it (docs/redis.md)."""
    from redis.exceptions import ResponseError

    try:
        _call(connection, "PSUBSCRIBE", pattern)
    except ResponseError as error:
        log.warning("Redis does not tell of %s, waits look instead: %s", pattern, error)


def _track_flushes(connection: Any) -> None:
    """Have Redis tell of a FLUSHALL at once; older ones than 6, and users who may not ask for it, go without."""
    from redis.exceptions import ResponseError

    try:
        _call(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", _call(connection, "CLIENT", "ID"))
        _call(connection, "SUBSCRIBE", FLUSHED)
    except ResponseError as error:
        log.debug("Redis does not tell of a flush: %s", error)


def _call(connection: Any, *command: Any) -> Any:
    connection.send_command(*command)
    return connection.read_response()
