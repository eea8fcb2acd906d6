"""Parse the URL of a Redis, or of the Sentinels that know its address.

redis-py has no URL for Sentinels. RedisVL, docket and Prefect use the form that this module reads.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

SENTINEL_PORT = 26379
CLUSTER = "must not name a Redis Cluster, which is not supported, but one Redis or its Sentinels"
FORM = "redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DB"
SEVERAL = f"must name one Redis, or its Sentinels like {FORM}; a Redis Cluster is not supported"

_SENTINELS = re.compile(
    r"(?P<redis>rediss?)\+sentinel://(?P<user>[^/?#@]*@)?(?P<hosts>[^/?#@]+)/(?P<name>[^/?#]+)"
    r"(?P<db>/[0-9]*)?(\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
_SOCKET = re.compile(r"unix://([^/?#]*@)?/[^?#]+(\?[^#]*)?", re.IGNORECASE)
_HOST = re.compile(r"(\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+))(:(?P<port>[0-9]{1,5}))?")
# The URL can set these options of redis-py. The service sets all others itself.
_TAKEN = {"username", "password", "host", "port", "path", "db", "client_name", "connection_class"}


@dataclass(frozen=True)
class RedisUrl:
    """Hold redis-py's options for the Redis; with Sentinels also their addresses and their name for the Redis."""

    options: Mapping[str, Any] = field(repr=False)
    sentinels: tuple[tuple[str, int], ...] = ()
    name: str = ""
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_redis_url(text: str) -> RedisUrl:
    """Parse the URL. Raise ValueError with the end of a sentence that begins with "SYNC_REDIS_URL", without the URL."""
    scheme = text.partition("://")[0].lower()
    if "cluster" in scheme:
        raise ValueError(CLUSTER)
    if scheme.endswith("+sentinel"):
        return _behind_sentinels(text)
    if scheme == "unix" and not _SOCKET.fullmatch(text):  # redis-py would drop the host of unix://run/redis.sock
        raise ValueError("must be like unix://USER:PASSWORD@/PATH?db=DB")
    return RedisUrl(_options(text))


def _behind_sentinels(text: str) -> RedisUrl:
    found = _SENTINELS.fullmatch(text)
    if found is None or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"must be like {FORM}")
    asked = parse_qsl(found["query"] or "")
    mine = {name.removeprefix("sentinel_"): value for name, value in asked if name.startswith("sentinel_")}
    if not mine.keys() <= {"username", "password"}:
        raise ValueError("has an option for Sentinels that is neither sentinel_username nor sentinel_password")
    query = urlencode([pair for pair in asked if not pair[0].startswith("sentinel_")])
    options = _options(f"{found['redis']}://{found['user'] or ''}{found['db'] or ''}?{query}")
    if options.pop("connection_class", None) is not None:
        options["ssl"] = True
    tls = {name: value for name, value in options.items() if name.startswith("ssl")}
    sentinels = tuple(_address(host) for host in found["hosts"].split(","))
    return RedisUrl(options, sentinels, unquote(found["name"]), mine | tls)


def _address(text: str) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    port = int(found["port"] or SENTINEL_PORT) if found else 0
    if found is None or not 0 < port < 65536:
        raise ValueError(f"must be like {FORM}, with ports from 1 to 65535")
    return found["v6"] or unquote(found["host"]), port


def _options(url: str) -> dict[str, Any]:
    """Return the options that the URL may set. Raise ValueError for an option that redis-py does not know."""
    import redis
    from redis.connection import parse_url

    scheme, rest = url.split("://", 1)
    url = f"{scheme.lower()}://{rest}"
    try:  # redis-py checks options when it makes a connection object, before it connects
        redis.Redis.from_url(url).connection_pool.make_connection()
        options = parse_url(url)  # type: ignore[no-untyped-call]
    except (TypeError, ValueError, AttributeError, redis.RedisError):
        raise ValueError("has an option that redis-py does not know") from None
    _check_tls(options)
    return {name: value for name, value in options.items() if name in _TAKEN or name.startswith("ssl_")}


def _check_tls(options: Mapping[str, Any]) -> None:
    """Load what the options for TLS name, as redis-py does when it connects. Raise ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority = [options.get(f"ssl_ca_{kind}") for kind in ("certs", "path", "data")]
    try:
        if any(authority):
            context.load_verify_locations(*authority)
        if options.keys() & {"ssl_certfile", "ssl_keyfile"}:
            password = options.get("ssl_password", "")  # without one, OpenSSL would ask the terminal
            context.load_cert_chain(options.get("ssl_certfile", ""), options.get("ssl_keyfile"), password)
        context.set_ciphers(options.get("ssl_ciphers", "DEFAULT"))
        context.minimum_version = options.get("ssl_min_version", context.minimum_version)
    except (OSError, TypeError, ValueError) as error:
        words = getattr(error, "strerror", None) or "its value is not allowed"
        raise ValueError(f"has an option for TLS that cannot be used: {words}") from None
