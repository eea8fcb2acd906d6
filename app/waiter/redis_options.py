"""Connect to Redis: what all clients of it have in common."""

from typing import Any

from app.theeye.keepalive import redis_keep_alive

PREFIX = "theeye-sync"  # of every name in Redis that is ours


def redis_options(url: str, connect_seconds: float, answer_seconds: float) -> dict[str, Any]:
    """Return redis-py's options: TCP keep-alive, and no second try, which would hide a failure from the caller."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": answer_seconds,
        "retry": Retry(NoBackoff(), 0),
        **redis_keep_alive(url),
    }
