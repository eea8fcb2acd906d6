"""Test a Redis that refuses: passwords, and missing rights of a user."""

import pytest
from redis import exceptions
from support.checks import redis_lines
from support.processes import Redis, user_of
from support.theeye import StandIn

from app.checks.refusals import RIGHTS as RIGHTS_ADVISED
from app.checks.refusals import meaning
from app.waiter.redis_names import PATTERNS


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:wrong@"])
def test_a_password_that_is_not_accepted(user: str, guarded: Redis, theeye: StandIn) -> None:
    [line] = redis_lines(f"redis://{user}127.0.0.1:{guarded.port}", theeye)
    assert f"FAIL redis 127.0.0.1:{guarded.port} does not accept the password, or needs one. Write it" in line
    assert "wrong" not in line


ALL = "~* &* +@all"
RIGHTS = [
    (f"{ALL} -psubscribe", "does not let its user run PSUBSCRIBE"),
    (f"{ALL} -publish", "does not let its user run PUBLISH"),
    (f"{ALL} -evalsha", "does not let its user run EVALSHA"),
    (f"{ALL} -script|load", "does not let its user run SCRIPT|LOAD"),
    (f"{ALL} -ping", "does not let its user run PING"),
    (f"{ALL} -info", "does not let its user run INFO"),
    (f"{ALL} -zadd -hset", "does not let scripts run HSET, ZADD"),
    *((RIGHTS_ADVISED.replace(f" &{each}", ""), "use the channels that it needs") for each in PATTERNS),
    ("~theeye:* &* +@all", "does not let its user use keys that begin with theeye-sync:"),
]


@pytest.mark.parametrize(("rights", "words"), RIGHTS)
def test_rights_that_are_missing(rights: str, words: str, guarded: Redis, theeye: StandIn) -> None:
    with user_of(guarded, rights) as url:
        found = [line for line in redis_lines(url, theeye) if not line.startswith("ok")]
    assert words in found[0]
    assert f"ACL SETUSER NAME on >PASSWORD {RIGHTS_ADVISED}" in found[0]


def test_the_rights_that_are_advised_suffice(guarded: Redis, theeye: StandIn) -> None:
    with user_of(guarded, RIGHTS_ADVISED) as url:
        assert len(redis_lines(url, theeye, 0)) == 3
        assert len(redis_lines(url + "/1", theeye, 0)) == 3


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.MasterDownError("Link with MASTER is down"), "is a replica that has lost its master"),
        (exceptions.ResponseError("Error running script: MISCONF Errors writing"), "cannot save to its disk"),
        (exceptions.ResponseError("BUSY Redis is busy running a script"), "is busy with a script. SCRIPT KILL"),
        (exceptions.ResponseError("DENIED Redis is running in protected mode"), "answers only its own machine"),
        (exceptions.ResponseError("DB index is out of range"), "has no database of this number. Correct the number"),
        (exceptions.ResponseError("unknown command 'EVALSHA', with args"), "lacks a command that the service needs"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "is still loading its data"),
    ],
)
def test_a_state_of_redis(error: Exception, words: str) -> None:
    found = meaning(error, "x", 3)
    assert f"{found.words}. {found.advice}".startswith(f"x {words}")


def test_a_redis_that_takes_no_writes(redis_server: Redis, theeye: StandIn) -> None:
    client = redis_server.client()
    client.config_set("min-replicas-to-write", 1)
    try:
        assert "has too few replicas, so it refuses writes" in redis_lines(redis_server.url, theeye)[-1]
    finally:
        client.config_set("min-replicas-to-write", 0)
