"""Faults of the notifications: lost, early, odd ones, and a Redis that dies, freezes, or never was there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from load import ROWS, Fleet, Load, Recorder, fleet, get, run, settle, table
from servers import Redis, wait_until
from standin import TASK

OTHER = "61f3e937c38201da80f96c2a"


@pytest.fixture(scope="module", autouse=True)
def printed_table() -> Iterator[None]:
    before = len(ROWS)
    yield
    print("\n" + table(ROWS[before:]))


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def theeye(redis: Redis) -> Iterator[Recorder]:
    with Recorder(redis.url) as standin:
        yield standin


def wait_for_listeners(redis: Redis, count: int) -> None:
    client = redis.client()
    wait_until(lambda: len(client.client_list(_type="pubsub")) == count, 10, f"{count} subscriptions")


def degraded(service: object) -> str:
    return str(get(service, "/readyz").body["degraded"])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["gevent", "gthread"])
def test_500_tasks_that_end_before_their_create_is_answered(kind: str, redis: Redis, theeye: Recorder) -> None:
    theeye.task(early=True)
    with fleet(theeye, redis.url, kinds=[kind]) as services:
        services.warm()
        settle("500 tasks end before their create is answered", theeye, services.park(500), late=3)


def test_redis_killed_and_restarted(redis: Redis, theeye: Recorder) -> None:
    theeye.task()
    with fleet(theeye, redis.url) as services:
        services.warm()
        theeye.task(delay=2.5)
        loads = services.park(200)
        theeye.wait_for_answered(402)
        redis.kill()
        for service in services.values():
            wait_until(lambda service=service: "redis" in degraded(service), 5, "readyz says so")
            assert "polling carries all waits" in service.log_text()
        redis.start()
        settle("Redis killed and restarted", theeye, loads, late=3)
        wait_for_listeners(redis, 2)
        for service in services.values():
            wait_until(lambda service=service: degraded(service) == "[]", 5, "readyz says so")


def test_redis_frozen_for_ten_seconds(redis: Redis, theeye: Recorder) -> None:
    theeye.task()
    with fleet(theeye, redis.url) as services:
        services.warm()
        theeye.task(delay=1.0)
        early = services.park(100)
        theeye.wait_for_answered(202)
        theeye.task(delay=8.0)
        later = services.park(100)
        theeye.wait_for_answered(402)
        redis.freeze()
        frozen = time.monotonic()
        settle("Redis frozen for 10 s, the jobs end at its start", theeye, early, late=7)
        settle("Redis frozen for 10 s, the jobs end near its end", theeye, later, late=3)
        theeye.task(delay=1.0)
        during = services.park(50)
        time.sleep(max(frozen + 10 - time.monotonic(), 0))
        redis.thaw()
        settle("Redis frozen for 10 s, created meanwhile", theeye, during, late=3)
        wait_for_listeners(redis, 2)
