"""Define a fixture: a self-signed certificate."""

from pathlib import Path

import pytest
from support.tls import make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
