"""Test the checks of Redis, without and with problems."""

import re
import time

import pytest
from support.checks import redis_lines, talker
from support.processes import CHECKOUT, Redis, free_port
from support.theeye import StandIn

from app.checks import redis as redis_checks


def test_a_redis_as_it_should_be(guarded: Redis, theeye: StandIn) -> None:
    version, message, scripts = redis_lines(guarded.url, theeye, 0)
    assert re.fullmatch(rf"ok redis 127\.0\.0\.1:{guarded.port} is Redis \d+\.\d+\.\d+", version)
    assert re.fullmatch(r"ok redis a message came back in [\d.]+ ms", message)
    assert scripts == "ok redis scripts may run all their commands"
    assert guarded.client().keys() == [], "nothing is left behind"


def test_every_command_of_our_scripts_is_tried() -> None:
    called = {
        name
        for file in (CHECKOUT / "app" / "runs").rglob("*.*")
        if file.suffix in (".py", ".lua")
        for name in re.findall(r"redis\.call\('(\w+)'", file.read_text())
    }
    assert set(re.findall(r"try\('(\w+)'", redis_checks.SCRIPT)) == called
    assert len(called) > 10


def test_a_policy_that_drops_keys_and_a_replica(theeye: StandIn) -> None:
    with Redis() as redis:
        client = redis.client()
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert redis_lines(redis.url, theeye, 0)[0].startswith("ok"), "it drops nothing without a maxmemory"
        client.config_set("maxmemory", "100mb")
        warning = redis_lines(redis.url, theeye, 0)[0]
        assert warning.startswith("warn")
        assert "with maxmemory-policy allkeys-lru it drops idempotency keys when its memory is full" in warning
        client.replicaof("127.0.0.1", str(free_port()))
        [replica] = redis_lines(redis.url, theeye)
        assert replica.endswith("a replica. Name the master in SYNC_REDIS_URL")


def test_a_frozen_redis_is_not_waited_for(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_checks, "ANSWER_SECONDS", 0.3)
    with Redis() as redis:
        redis.freeze()
        began = time.monotonic()
        [line] = redis_lines(redis.url, theeye)
        assert time.monotonic() - began < 20
    assert "accepts connections, but does not answer within 0.3 s" in line


def test_no_redis_there(theeye: StandIn) -> None:
    port = free_port()
    [line] = redis_lines(f"redis://:hunter2@127.0.0.1:{port}", theeye)
    assert f"nothing listens on 127.0.0.1:{port}" in line
    [line] = redis_lines(f"unix://:hunter2@{__file__}?db=1", theeye)
    assert f"{__file__} is not a socket" in line
    with talker(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        [line] = redis_lines(f"redis://127.0.0.1:{port}", theeye)
    assert "does not answer like a Redis" in line


def test_a_redis_that_takes_no_more(theeye: StandIn) -> None:
    with Redis() as redis:
        client = redis.client()
        client.config_set("maxmemory", "1mb")
        full = redis_lines(redis.url, theeye)[-1]
        assert full.endswith("is full and refuses writes. Raise its maxmemory, or remove what fills it (INFO memory)")
        client.config_set("maxmemory", "0")
        client.config_set("maxclients", "1")
        [crowded] = redis_lines(redis.url, theeye)
    assert "has reached its limit of clients. Raise its maxclients" in crowded
