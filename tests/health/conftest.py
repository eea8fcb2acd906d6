"""The application whose looks at TheEye come often."""

from collections.abc import Iterator

import pytest
from support.health import Parts, assembled

from app.health import probes


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """Looks that come often."""
    monkeypatch.setattr(probes, "LOOK_SECONDS", 0.02)
    with assembled() as parts:
        yield parts
