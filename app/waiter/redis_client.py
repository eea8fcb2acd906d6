"""Make the clients of TheEye's Redis, with the options of its URL and those that the service needs.

redis-py is an extra, so this module is imported only when a client is made.
"""

import logging
from time import monotonic
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from app.redis_url import CLUSTER, RedisUrl, read_redis_url
from app.theeye.keepalive import redis_keep_alive

IDLE_SECONDS = 10.0  # firewalls drop silent connections without telling either side, most after a minute or later
LOOK_SECONDS = 1.0  # the timeouts of the check at the start, for a connection and for an answer

log = logging.getLogger("theeye_sync.redis")


class CannotConnect(redis.ConnectionError):
    """Report why no Redis can be used, without a secret in the words."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class IsCluster(CannotConnect):
    """Report that the Redis is a node of a Cluster: each node has only some of the keys."""

    def __init__(self) -> None:
        super().__init__(f"SYNC_REDIS_URL {CLUSTER}")


def refuse_cluster(url: str) -> None:
    """Check the Redis once. Raise IsCluster; ignore a Redis that cannot be reached now."""
    with make_client(url, LOOK_SECONDS, LOOK_SECONDS) as client:
        try:
            client.ping()
        except IsCluster:
            raise
        except (redis.RedisError, OSError) as error:
            log.debug("whether Redis is a Cluster is not known: %s", type(error).__name__)


def make_client(url: str, connect_seconds: float, answer_seconds: float, connections: int | None = None) -> Any:
    """Return redis-py's client. It connects with its first command; with Sentinels, to the master."""
    read = read_redis_url(url)
    needed = {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": answer_seconds,
        "retry": Retry(NoBackoff(), 0),  # a second try would hide a failure from the caller
        "protocol": 2,  # with 3, redis-py makes a log message for each notification
        **redis_keep_alive(url),
    }
    options = {**read.options, **needed, "max_connections": connections, "redis_connect_func": _connected}
    if not read.sentinels:
        return redis.Redis.from_pool(_Pool(**options))
    sentinels = Sentinels(read, needed)
    return redis.Redis.from_pool(_SentinelPool(read.name, sentinels, **options))  # type: ignore[no-untyped-call]


def _connected(connection: Any) -> None:
    """Set up a new connection. Raise IsCluster for a node of a Cluster; a user without the right to INFO passes."""
    connection.idle_since = monotonic()
    connection.on_connect()
    connection.send_command("INFO", "cluster", check_health=False)
    try:
        told = connection.read_response()
    except redis.ResponseError:
        return
    if b"cluster_enabled:1" in told:
        raise IsCluster


class _NeverIdle:
    """Replace a connection that was idle for long: it may be dead, and a script would fail on it."""

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super()
        connection = pool.get_connection(*args, **kwargs)
        if monotonic() - connection.idle_since > IDLE_SECONDS:
            try:
                connection.disconnect()
                connection.connect()
            except BaseException:
                self.release(connection)
                raise
        return connection

    def release(self, connection: Any) -> None:
        connection.idle_since = monotonic()
        pool: Any = super()
        pool.release(connection)


class _Pool(_NeverIdle, redis.ConnectionPool):
    pass


class _SentinelPool(_NeverIdle, SentinelConnectionPool):
    pass


class Sentinels(Sentinel):
    """Ask the Sentinels for the master. redis-py's class is not thread-safe, keeps connections, and hides errors."""

    def __init__(self, read: RedisUrl, options: dict[str, Any]) -> None:
        """Connect to nothing yet."""
        kwargs = {**options, **read.sentinel_options}
        super().__init__(read.sentinels, sentinel_kwargs=kwargs)  # type: ignore[no-untyped-call]
        login = {name: read.options[name] for name in ("username", "password") if name in read.options}
        self._logged_in: dict[Any, Any] = {}  # for Sentinels with a password, which is often that of the Redis
        if login and "password" not in read.sentinel_options:
            for client, (host, port) in zip(self.sentinels, read.sentinels, strict=True):
                self._logged_in[client] = redis.Redis(**{**kwargs, **login, "host": host, "port": port})

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return host and port of the master. Raise CannotConnect."""
        failures: list[Exception] = []
        for sentinel in list(self.sentinels):
            try:
                state = self._masters(sentinel).get(service_name)
            except redis.RedisError as error:
                failures.append(error)
                continue
            if state and self.check_master_state(state, service_name):  # type: ignore[no-untyped-call]
                self.sentinels = sorted(self.sentinels, key=lambda other: other is not sentinel)  # ask this one first
                return state["ip"], state["port"]
        raise CannotConnect(_why(service_name, failures))

    def _masters(self, sentinel: Any) -> Any:
        try:
            return sentinel.sentinel_masters()
        except redis.AuthenticationError:
            if sentinel not in self._logged_in:
                raise
            return self._masters(self._logged_in[sentinel])
        finally:
            sentinel.connection_pool.disconnect(inuse_connections=False)


def _why(name: str, failures: list[Exception]) -> str:
    for error in failures:
        if isinstance(error, redis.AuthenticationError):
            return "the Sentinels do not accept the password, or want one (?sentinel_password=PASSWORD)"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "the Sentinels have a certificate that is not accepted (?ssl_ca_certs=FILE)"
        if isinstance(error, redis.ResponseError):
            return f"a Sentinel refuses to name the master: {error}"
    return f"no Sentinel that can be reached knows a master {name!r} that is up"
