"""Run Lua scripts on TheEye's Redis: they change the state that all processes and replicas share, atomically."""

import functools
import logging
import threading
from collections.abc import Sequence
from importlib import resources
from time import monotonic
from typing import Any

log = logging.getLogger("theeye_sync.redis")

CALL_SECONDS = 1.0  # the timeout of a connection, and of each script
# Few: a script takes less than a millisecond, opening a connection over TLS 25 ms of CPU, and a burst opens all.
CONNECTIONS = 4
QUEUE_SECONDS = 10.0  # the timeout of waiting for one of them
BREAK_SECONDS = 2.0  # circuit breaker: skip Redis for this many seconds after a failure


class RedisUnavailable(Exception):
    """Report that Redis did not run a script, or did not answer; it may have run. The words are for clients."""


class RedisScripts:
    """Run the scripts of lua/*.lua. A failing Redis delays one caller by a second, not every caller."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet."""
        self._url = url
        self._lock = threading.Lock()
        self._free = threading.Semaphore(CONNECTIONS)  # waiting for a connection is no failure of Redis
        self._skip_until = 0.0
        self._reason = ""  # of the last failure
        self._failed = False
        self._scripts: dict[str, Any] = {}

    @property
    def is_down(self) -> bool:
        """Return whether the last script failed."""
        return self._failed

    def run(self, name: str, keys: Sequence[str], arguments: Sequence[str | int], despite_failure: bool = False) -> Any:
        """Run lua/NAME.lua and return its answer; `despite_failure` ignores the circuit breaker.

        Raise RedisUnavailable.
        """
        self._check_breaker(despite_failure)
        if not self._free.acquire(timeout=QUEUE_SECONDS):
            raise RedisUnavailable("all connections to Redis are in use")
        try:
            # Again: calls that waited while Redis failed do not try it one after the other.
            self._check_breaker(despite_failure)
            return self._answer(name, keys, arguments)
        finally:
            self._free.release()

    def _check_breaker(self, despite_failure: bool) -> None:
        if monotonic() < self._skip_until and not despite_failure:
            raise RedisUnavailable(f"{self._reason} (tried a moment ago)")

    def _answer(self, name: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        import redis

        try:
            answer = self._script(name)(keys=keys, args=arguments)
        except (redis.RedisError, OSError) as error:
            self._break(error)
            raise RedisUnavailable(_failure(error)) from None
        self._failed = False
        return answer

    def _break(self, error: Exception) -> None:
        """Open the circuit breaker and drop all connections; log a warning for the first failure of several.

        A server that has become a replica (READONLY) keeps its connections, and the host name or the Sentinels may lead
        to another server now.
        """
        self._client.connection_pool.disconnect(inuse_connections=False)
        with self._lock:
            first, self._failed = not self._failed, True
            self._reason = _failure(error)
            self._skip_until = monotonic() + BREAK_SECONDS
        log.log(
            logging.WARNING if first else logging.DEBUG,
            "%s: %s",
            _failure(error),
            getattr(error, "words", f"{type(error).__name__}: {error}"),
        )

    def _script(self, name: str) -> Any:
        found = self._scripts.get(name)
        if found is None:
            text = resources.files(__package__).joinpath("lua", f"{name}.lua").read_text()
            found = self._scripts[name] = self._client.register_script(text)
        return found

    @functools.cached_property
    def _client(self) -> Any:
        from app.waiter.redis_client import make_client

        return make_client(self._url, CALL_SECONDS, CALL_SECONDS, CONNECTIONS)


def _failure(error: Exception) -> str:
    """Return what has failed, in words for clients: Redis's own words may name its host, its user or a key."""
    import redis

    if isinstance(error, TimeoutError | redis.TimeoutError):
        return "Redis did not answer in time"
    if isinstance(error, redis.ResponseError | redis.AuthenticationError | redis.BusyLoadingError):
        return "Redis answered with an error"  # for example: it is full, read-only, or its user lacks a right
    return "Redis cannot be reached"
