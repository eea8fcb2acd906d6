"""What all processes and replicas know together: small atomic steps in TheEye's Redis."""

import functools
import logging
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any

log = logging.getLogger("theeye_sync.shared")

CALL_SECONDS = 1.0
CONNECTIONS = 32
REST_SECONDS = 2.0  # after a failure nobody asks for so long

PREFIX = "theeye-sync"


class SharedUnavailable(Exception):
    """Redis did not answer; whether the step was carried out is unknown."""


class Shared:
    """Runs Lua scripts on Redis; a failing Redis costs one caller a second, not every caller."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet."""
        self._url = url
        self._lock = threading.Lock()
        self._down_until = 0.0
        self._failed = False
        self._scripts: dict[str, Any] = {}

    @property
    def is_down(self) -> bool:
        """Whether the last step failed."""
        return self._failed

    def run(
        self, script: str, keys: Sequence[str], arguments: Sequence[str | int | float], insist: bool = False
    ) -> Any:
        """The script's answer. Raises SharedUnavailable."""
        if monotonic() < self._down_until and not insist:
            raise SharedUnavailable("Redis did not answer a moment ago")
        import redis

        try:
            answer = self._script(script)(keys=keys, args=arguments)
            self._failed = False
            return answer
        except (redis.RedisError, OSError) as error:
            self._failed = True
            with self._lock:
                first = monotonic() > self._down_until + REST_SECONDS
                self._down_until = monotonic() + REST_SECONDS
            log.log(logging.WARNING if first else logging.DEBUG, "Redis did not answer: %r", error)
            raise SharedUnavailable(f"Redis did not answer: {type(error).__name__}") from None

    @functools.cached_property
    def _client(self) -> Any:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        pool = redis.BlockingConnectionPool.from_url(
            self._url,
            max_connections=CONNECTIONS,
            timeout=CALL_SECONDS,
            socket_connect_timeout=CALL_SECONDS,
            socket_timeout=CALL_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        return redis.Redis(connection_pool=pool)

    def _script(self, script: str) -> Any:
        found = self._scripts.get(script)
        if found is None:
            found = self._scripts[script] = self._client.register_script(script)
        return found
