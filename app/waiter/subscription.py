"""Subscribe to channels of Redis in a thread, and subscribe again after a failure while that is wanted."""

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
SETTLE_SECONDS = 3.0  # the timeout of connecting; the first request waits at most so long for it

log = logging.getLogger("theeye_sync.notifications")


class Subscription:
    """Receive the messages of channels that match some patterns."""

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
        """Connect to nothing yet. Leave out those of the patterns in `more` to which the Redis user has no right.

        `receive` is called with the channel of each message, `changed` with each new value of `live` and the reason of
        a loss, `between` with the client at least once a second. The thread ends when `wanted` returns false.
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
        """Return whether it is known yet if messages arrive."""
        return self._settled.is_set()

    def settle(self) -> None:
        """Wait until it is known if messages arrive, at most SETTLE_SECONDS."""
        if not self._settled.is_set():
            self._settled.wait(SETTLE_SECONDS)

    def ensure_running(self) -> None:
        """Start the thread in this process if it does not run."""
        self._thread.ensure_running()

    def _run(self) -> None:
        try:
            self._listen()
        finally:
            self._settled.clear()  # it has to be found out again

    def _listen(self) -> None:
        pause, most = RETRY_SECONDS
        while self._wanted():
            began = monotonic()
            try:
                self._subscribe_and_receive()
            except Exception as error:  # noqa: BLE001 - listening must go on after any error
                self._set_live(False, getattr(error, "words", type(error).__name__))
            finally:
                if self.live:  # the thread was ended, or is not wanted any more
                    self._set_live(False, "the listener ends")
            pause = RETRY_SECONDS[0] if monotonic() - began > most else min(pause * 2, most)
            if self._wanted():
                threading.Event().wait(pause)

    def _set_live(self, live: bool, why: str = "") -> None:
        """Report a change; report the first value in any case."""
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
        """Handle messages while Redis answers. Raise TimeoutError when it no longer does."""
        from redis.exceptions import TimeoutError as NothingCame

        heard = monotonic()
        while self._wanted():
            self._between(client)
            try:
                # `get_message` would cost twice as much, and reconnects silently (docs/reliability.md).
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
    """Subscribe to a pattern, unless the user's rights are older than the pattern and refuse it (docs/redis.md)."""
    from redis.exceptions import ResponseError

    try:
        _call(connection, "PSUBSCRIBE", pattern)
    except ResponseError as error:
        log.warning("Redis refuses the notifications %s, the service polls instead: %s", pattern, error)


def _track_flushes(connection: Any) -> None:
    """Let Redis announce a FLUSHALL at once; do nothing for Redis before 6, or a user without the right to it."""
    from redis.exceptions import ResponseError

    try:
        _call(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", _call(connection, "CLIENT", "ID"))
        _call(connection, "SUBSCRIBE", FLUSHED)
    except ResponseError as error:
        log.debug("Redis does not notify of a flush: %s", error)


def _call(connection: Any, *command: Any) -> Any:
    connection.send_command(*command)
    return connection.read_response()
