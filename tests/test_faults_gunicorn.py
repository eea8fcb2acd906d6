"""Processes that are stopped, reloaded and killed, clients that go away, and too many of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from load import ROWS, Load, Recorder, fleet, get, run, settle, table, why_not_time_is_up
from servers import Redis, wait_until


@pytest.fixture(scope="module", autouse=True)
def printed_table() -> Iterator[None]:
    before = len(ROWS)
    yield
    print("\n" + table(ROWS[before:]))


@pytest.fixture
def theeye(redis_server: Redis) -> Iterator[Recorder]:
    with Recorder(redis_server.url) as standin:
        yield standin


def test_sigterm_the_jobs_end_in_time(theeye: Recorder, redis_server: Redis) -> None:
    with fleet(theeye, redis_server.url, workers=2) as services:
        services.warm()
        theeye.task(delay=2.5)
        loads = services.park(200)
        theeye.wait_for_answered(402)
        for service in services.values():
            service.terminate()
        settle("SIGTERM, the jobs end within the grace", theeye, loads, late=2)
        for service in services.values():
            assert service.wait(10) == 0


def test_sigterm_the_jobs_do_not_end(theeye: Recorder, redis_server: Redis) -> None:
    with fleet(theeye, redis_server.url, workers=2, grace_seconds="2") as services:
        services.warm()
        theeye.task(delay=None)
        loads = services.park(200)
        theeye.wait_for_answered(402)
        began = time.monotonic()
        for service in services.values():
            service.terminate()
        settle("SIGTERM, grace of 2 s is over", theeye, loads, 4, why_not_time_is_up, began)
        for service in services.values():
            assert service.wait(10) == 0


def test_sighup(theeye: Recorder, redis_server: Redis) -> None:
    with fleet(theeye, redis_server.url, workers=2, grace_seconds="4") as services:
        services.warm()
        theeye.task(delay=2)
        loads = services.park(200)
        theeye.wait_for_answered(402)
        for service in services.values():
            service.signal(signal.SIGHUP)
        late = services.park(50)
        settle("SIGHUP under parked requests", theeye, loads, late=2)
        settle("SIGHUP, requests that come during the reload", theeye, late, late=2)
