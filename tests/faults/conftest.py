"""Define fixtures: a TheEye that checks the answers, and the service under each kind of worker in front of it."""

from collections.abc import Iterator

import pytest
from support.load import ROWS, Fleet, Recorder, fleet, table
from support.processes import Redis


@pytest.fixture
def theeye(redis_server: Redis) -> Iterator[Recorder]:
    with Recorder(redis_server.url) as standin:
        yield standin


@pytest.fixture
def services(theeye: Recorder, redis_server: Redis, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Run both services; the test's mark `settings` may contain options of fleet(), too."""
    mark = request.node.get_closest_marker("settings")
    with fleet(theeye, redis_server.url, **(mark.kwargs if mark else {})) as services:
        yield services


@pytest.fixture(scope="module", autouse=True)
def printed_table() -> Iterator[None]:
    """Print a module's rows at its end."""
    before = len(ROWS)
    yield
    rows = [(row.fault, row.worker, row.in_flight, row.right, f"{row.latest:.2f}") for row in ROWS[before:]]
    print("\n" + table(["fault", "worker"], ["in flight", "right", "latest (s)"], rows))
