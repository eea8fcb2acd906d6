"""Check TheEye's Redis: use every feature that the service needs once, with keys and a channel made for the check."""

import uuid
from collections.abc import Callable, Iterator
from importlib import resources
from time import monotonic
from typing import Any

from app.checks.finding import FAIL, Finding, fail, ok, warn
from app.checks.network import Unreachable
from app.checks.redis_reach import reach_redis, unreachable_sentinels
from app.checks.refusals import OWN_USER, meaning
from app.redis_url import read_redis_url
from app.settings import Settings
from app.waiter.redis_names import PATTERNS, PREFIX, SLOT_GIVEN, UNHEARD_NAME
from app.waiter.redis_notifications import WRONG

ANSWER_SECONDS = 3.0

SCRIPT = resources.files(__package__).joinpath("redis_commands.lua").read_text()


def findings(settings: Settings) -> Iterator[Finding]:
    """Report one finding for each use of Redis, or the effect of having none."""
    if settings.redis_url:
        yield from _try_everything(settings)
        return
    yield warn(
        "redis",
        "SYNC_REDIS_URL is not set: the service polls TheEye, there are no idempotency keys, "
        "and the history guard sees one process only",
        "Set it to TheEye's Redis",
    )


def _try_everything(settings: Settings) -> Iterator[Finding]:
    import redis

    from app.waiter.redis_client import CannotConnect, make_client

    url, seconds = read_redis_url(settings.redis_url), settings.connect_timeout
    where, client = "a Sentinel", make_client(settings.redis_url, seconds, ANSWER_SECONDS)
    try:
        yield from unreachable_sentinels(url, seconds)
        where = reach_redis(url, client, seconds)
        client.ping()
        for check in (_version, _messages, _scripts):
            try:
                found = check(client, where)
                yield found
                if found.level == FAIL:  # the other checks would fail for the same reason
                    return
            except (redis.exceptions.NoPermissionError, redis.ReadOnlyError) as error:
                yield meaning(error, where, ANSWER_SECONDS)
    except Unreachable as error:
        yield fail("redis", error.words, f"{error.advice} (SYNC_REDIS_URL)")
    except CannotConnect as error:
        yield fail("redis", error.words, "Correct SYNC_REDIS_URL: docs/redis.md")
    except (redis.RedisError, OSError) as error:
        yield meaning(error, where, ANSWER_SECONDS)
    finally:
        client.close()


def _version(client: Any, where: str) -> Finding:
    """Report the version, and whether Redis may evict our keys."""
    info = client.info()
    policy, most = info.get("maxmemory_policy", "noeviction"), info.get("maxmemory", 0)
    words = f"{where} is Redis {info.get('redis_version', 'of an unknown version')}"
    if info.get("role") == "slave":
        return fail("redis", f"{words}, a replica", "Name the master in SYNC_REDIS_URL")
    if most and policy != "noeviction":
        return warn(
            "redis",
            f"{words}, and with maxmemory-policy {policy} it drops idempotency keys when its memory is full: "
            "a repeated request then runs again",
            "Set maxmemory-policy to noeviction",
        )
    return ok("redis", words)


def _messages(client: Any, where: str) -> Finding:
    """Check that a published message comes back on a subscription like the service's."""
    channel = SLOT_GIVEN.replace("*", f"check-{uuid.uuid4().hex}")
    with client.pubsub() as pubsub:
        pubsub.psubscribe(*PATTERNS)
        if _received(pubsub, lambda message: message["type"] == "psubscribe" and message["data"] == len(PATTERNS)):
            began = monotonic()
            client.publish(channel, "")
            if _received(pubsub, lambda message: message["channel"] == channel.encode()):
                words = f"a message came back in {(monotonic() - began) * 1000:.1f} ms"
                if client.exists(UNHEARD_NAME):
                    return warn("redis", f"{words}, but {WRONG}", "Name the Redis that TheEye's gateway uses")
                return ok("redis", words)
    return fail("redis", f"{where} did not send a message back", "Does a proxy in between not support PSUBSCRIBE?")


def _received(pubsub: Any, wanted: Callable[[dict[str, Any]], bool]) -> bool:
    deadline = monotonic() + ANSWER_SECONDS
    while (left := deadline - monotonic()) > 0:
        message = pubsub.get_message(timeout=left)
        if message is not None and wanted(message):
            return True
    return False


def _scripts(client: Any, where: str) -> Finding:
    """Check that scripts may run every command that the service's scripts call."""
    name = uuid.uuid4().hex
    keys = [f"{PREFIX}:{{check-{name}}}:{part}" for part in ("hash", "sorted", "set")]
    refused = client.register_script(SCRIPT)(keys=keys, args=[SLOT_GIVEN.replace("*", f"check-{name}")])
    if not refused:
        return ok("redis", "scripts may run all their commands")
    commands = ", ".join(dict.fromkeys(command.decode() for command in refused))
    return fail("redis", f"{where} does not let scripts run {commands}", OWN_USER)
