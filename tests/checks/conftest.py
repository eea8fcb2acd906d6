"""Define a fixture: a Redis with a password."""

from collections.abc import Iterator

import pytest
from support.processes import Redis


@pytest.fixture(scope="module")
def guarded() -> Iterator[Redis]:
    """Run a Redis with a password, in which tests create users with some rights."""
    with Redis(password="hunter2") as redis:
        yield redis
