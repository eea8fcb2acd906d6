"""Faults of the supervisor and the gateway while requests wait."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from load import ROWS, Recorder, fleet, settle, table
from servers import Redis


@pytest.fixture(scope="module", autouse=True)
def printed_table() -> Iterator[None]:
    before = len(ROWS)
    yield
    print("\n" + table(ROWS[before:]))


@pytest.fixture
def theeye(redis_server: Redis) -> Iterator[Recorder]:
    with Recorder(redis_server.url) as standin:
        yield standin


def test_supervisor_restarted(theeye: Recorder, redis_server: Redis) -> None:
    with fleet(theeye, redis_server.url) as services:
        services.warm()
        theeye.task(delay=1.5)
        loads = services.park(200)
        theeye.wait_for_answered(402)
        theeye.stop()
        down = time.monotonic()
        theeye.wait_for_ended(402)
        time.sleep(max(down + 3 - time.monotonic(), 0))
        theeye.start()
        settle("supervisor down for 3 s, the jobs end meanwhile", theeye, loads, late=7)


def test_supervisor_frozen(theeye: Recorder, redis_server: Redis) -> None:
    with fleet(theeye, redis_server.url) as services:
        services.warm()
        theeye.task(delay=1.5)
        loads = services.park(200)
        theeye.wait_for_answered(402)
        theeye.freeze()
        theeye.wait_for_ended(402)
        time.sleep(3)
        theeye.thaw()
        settle("supervisor frozen for 5 s, the jobs end meanwhile", theeye, loads, late=7)
