"""Fixtures: a TheEye that judges the answers, and the service under each kind of worker in front of it."""

from collections.abc import Iterator

import pytest
from support.load import Fleet, Recorder, fleet, printed_table
from support.processes import Redis

__all__ = ["printed_table"]


@pytest.fixture
def theeye(redis_server: Redis) -> Iterator[Recorder]:
    with Recorder(redis_server.url) as standin:
        yield standin


@pytest.fixture
def services(theeye: Recorder, redis_server: Redis, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Both services; the test's mark `settings` has options of fleet(), too."""
    mark = request.node.get_closest_marker("settings")
    with fleet(theeye, redis_server.url, **(mark.kwargs if mark else {})) as services:
        yield services
