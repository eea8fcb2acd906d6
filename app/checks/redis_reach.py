"""Connect to the Redis of a URL: at its address, its socket, or the address that its Sentinels give."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.checks.finding import Finding, warn
from app.checks.network import Unreachable, reach
from app.redis_url import RedisUrl


def unreachable_sentinels(url: RedisUrl, seconds: float) -> Iterator[Finding]:
    """Report each Sentinel that does not accept a connection; the service uses the others."""
    for host, port in url.sentinels:
        try:
            reach(host, port, seconds)
        except Unreachable as error:
            yield warn("redis", f"one of the Sentinels: {error.words}", f"{error.advice} (SYNC_REDIS_URL)")


def reach_redis(url: RedisUrl, client: Any, seconds: float) -> str:
    """Return the address of a Redis after a connection to it. Raise Unreachable, or CannotConnect for the Sentinels."""
    if "path" in url.options:
        return _reach_socket(url.options["path"])
    host, port = url.options.get("host", "localhost"), url.options.get("port", 6379)
    if url.sentinels:
        host, port = client.connection_pool.get_master_address()
    reach(host, port, seconds)
    return f"{host}:{port}"


def _reach_socket(path: str) -> str:
    if not Path(path).is_socket():
        raise Unreachable(f"{path} is not a socket", "Set unixsocket in redis.conf, or correct the path")
    return path
