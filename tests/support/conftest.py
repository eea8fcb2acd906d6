"""Define a fixture: a client of the stand-in."""

from collections.abc import Iterator

import pytest

from support.caller import Caller
from support.theeye import StandIn


@pytest.fixture
def caller(theeye: StandIn) -> Iterator[Caller]:
    with Caller(theeye) as caller:
        yield caller
