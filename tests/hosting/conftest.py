"""What deploy/Dockerfile builds, once for all tests."""

from pathlib import Path

import pytest
from support.container import build


@pytest.fixture(scope="session")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("image") / "venv"
    build(venv)
    return venv
