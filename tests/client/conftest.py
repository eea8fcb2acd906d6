"""Define the service that the commands call."""

from collections.abc import Iterator

import pytest
from support.processes import Service
from support.settings import environment
from support.theeye import StandIn


@pytest.fixture(scope="module")
def gunicorn(shared_theeye: StandIn) -> Iterator[Service]:
    """Run the service with one kind of worker, without Redis and so without keys: each run begins with a 501."""
    with Service(environment(shared_theeye)) as running:
        yield running
