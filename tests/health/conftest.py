"""Define an application with frequent probes of TheEye."""

from collections.abc import Iterator

import pytest
from support.health import Parts, assembled

from app.health import probes


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """Return parts with frequent probes."""
    monkeypatch.setattr(probes, "LOOK_SECONDS", 0.02)
    with assembled() as parts:
        yield parts
