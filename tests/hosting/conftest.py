"""Build what deploy/Dockerfile builds, once for all tests."""

import os
from pathlib import Path

import pytest
from support.container import build


@pytest.fixture(scope="session")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    venv = tmp_path_factory.mktemp("image") / "venv"
    build(venv)
    return venv
