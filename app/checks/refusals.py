"""Explain an error of Redis in plain words."""

import re

from app.checks.finding import Finding, fail
from app.waiter.redis_names import FLUSHED, PATTERNS, PREFIX

# The rights that the service needs, as ACL SETUSER takes them for a user of its own; docs/redis.md explains them.
RIGHTS = (
    f"resetkeys ~{PREFIX}:* resetchannels {' '.join(f'&{channel}' for channel in (*PATTERNS, FLUSHED.decode()))}"
    " -@all +ping +select +info +client|setname +client|id +client|tracking"
    " +psubscribe +subscribe +publish +evalsha +script|load"
    " +set +del +exists +pexpire +time +hset +hget +hmget +hincrby +hdel"
    " +zadd +zscore +zrange +zrangebyscore +zrem +sadd +srem"
)
OWN_USER = f"Give it a user of its own: ACL SETUSER NAME on >PASSWORD {RIGHTS}"

# Redis's message, what it means, and what to do.
_STATES = (
    (
        "max number of clients",
        "has reached its limit of clients",
        "Raise its maxclients, or close unused connections (CLIENT LIST)",
    ),
    (
        "OOM|'maxmemory'",
        "is full and refuses writes",
        "Raise its maxmemory, or remove what fills it (INFO memory)",
    ),
    ("MISCONF", "cannot save to its disk, so it refuses writes", "Free space on its disk; its log says what failed"),
    ("NOREPLICAS", "has too few replicas, so it refuses writes", "Start them, or lower its min-replicas-to-write"),
    (
        "protected mode",
        "answers only its own machine (protected mode)",
        "Set a password in its redis.conf, and write it in SYNC_REDIS_URL",
    ),
    ("DB index is out of range", "has no database of this number", "Correct the number at the end of SYNC_REDIS_URL"),
    (
        "unknown command",
        "lacks a command that the service needs",
        "Does a proxy in between not support it, or rename-command in its redis.conf remove it?",
    ),
    ("BUSY", "is busy with a script", "SCRIPT KILL ends it; its log says how long it has run"),
)


def meaning(error: Exception, where: str, seconds: float) -> Finding:
    """Return the finding for an error of a call to Redis; `seconds` is the timeout of the call."""
    words, advice = _meaning(error, seconds)
    return fail("redis", f"{where} {words}", advice)


def _meaning(error: Exception, seconds: float) -> tuple[str, str]:
    from redis import exceptions

    match error:
        case exceptions.NoPermissionError():
            return f"does not let its user {_denied(str(error))}", OWN_USER
        case exceptions.ReadOnlyError():
            return "is a read-only replica", "Name the master in SYNC_REDIS_URL"
        case exceptions.AuthenticationError():
            advice = "Write it in SYNC_REDIS_URL: redis://USER:PASSWORD@HOST:PORT, USER may be empty"
            return "does not accept the password, or needs one", advice
        case exceptions.BusyLoadingError():
            return "is still loading its data", "Wait for it"
        case exceptions.MasterDownError():
            return "is a replica that has lost its master", "Name the master in SYNC_REDIS_URL"
        case _ if state := next((state for words, *state in _STATES if re.search(words, str(error))), None):
            return state[0], state[1]
        case exceptions.TimeoutError():
            advice = "Look at its log, and whether redis:// or rediss:// is right in SYNC_REDIS_URL"
            return f"accepts connections, but does not answer within {seconds:g} s", advice
        case _ if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "has a certificate that is not accepted", "Name its authority's file: rediss://...?ssl_ca_certs=FILE"
    advice = "Correct the port, or rediss:// against redis://, in SYNC_REDIS_URL"
    return f"does not answer like a Redis ({type(error).__name__})", advice


def _denied(words: str) -> str:
    """Return what Redis's own message says is not allowed."""
    command = re.search("'([a-zA-Z|]+)' command", words)
    if command:
        return f"run {command[1].upper()}"
    return "use the channels that it needs" if "channel" in words else f"use keys that begin with {PREFIX}:"
