"""What `make run` says on a machine that lacks something."""

import subprocess
from pathlib import Path

import pytest
from support.processes import CHECKOUT, need

NO_VENV = """#!/bin/sh
case "$2" in *ensurepip*) exit 1;; esac
exit 0
"""


def make_run(python: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [need("make", "make"), "-s", "run", f"PYTHON={python}", f"VENV={folder / 'venv'}"]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)


def test_a_missing_python(tmp_path: Path) -> None:
    said = make_run("python-that-is-not-there", tmp_path)
    assert said.returncode != 0
    assert "python-that-is-not-there is not installed. Install Python 3.11 or newer" in said.stderr


@pytest.mark.parametrize(
    ("script", "words"),
    [("#!/bin/sh\nexit 1\n", "is older than 3.11"), (NO_VENV, "has no venv module. On Debian and Ubuntu: apt-get")],
    ids=["an old Python", "no venv module"],
)
def test_a_python_that_does_not_do(script: str, words: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o755)
    said = make_run(str(python), tmp_path)
    assert said.returncode != 0
    assert words in said.stderr
