"""Fixture: a Redis with a password."""

from collections.abc import Iterator

import pytest
from support.processes import Redis


@pytest.fixture(scope="module")
def guarded() -> Iterator[Redis]:
    """A Redis with a password, to give users rights in."""
    with Redis(password="hunter2") as redis:
        yield redis
