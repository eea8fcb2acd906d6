"""Test what `make run` prints on a machine that lacks something, or has no network."""

import os
import runpy
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from support.processes import CHECKOUT, need

NO_VENV = """#!/bin/sh
case "$2" in *ensurepip*) exit 1;; esac
exit 0
"""


def make_run(python: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [need("make", "make"), "-s", "run", f"PYTHON={python}", f"VENV={folder / 'venv'}"]
    return subprocess.run(command, cwd=CHECKOUT, env=os.environ | env, capture_output=True, text=True, timeout=60)


def test_a_missing_python(tmp_path: Path) -> None:
    said = make_run("python-that-is-not-there", tmp_path)
    assert said.returncode != 0
    assert "python-that-is-not-there is not installed. Install Python 3.11 or newer" in said.stderr


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\nexit 1\n", "is not Python 3.11 or newer"),
        (NO_VENV, "has no venv module. On Debian and Ubuntu: apt-get"),
    ],
    ids=["an old Python", "no venv module"],
)
def test_a_python_that_does_not_do(script: str, words: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o755)
    said = make_run(str(python), tmp_path)
    assert said.returncode != 0
    assert words in said.stderr


def test_ctrl_c_while_make_run_imports_its_modules(tmp_path: Path) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    (tmp_path / "flask.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    for name in ("bin/pip", ".run"):
        (tmp_path / "venv" / name).touch()
    said = make_run(sys.executable, tmp_path, PYTHONPATH=str(tmp_path))
    assert (said.returncode, said.stdout) == (2, "")
    assert "Interrupt" in said.stderr
    assert "Traceback" not in said.stderr


INSTALL = CHECKOUT / ".ci/install.py"
OFFLINE = """import sys
print("Collecting flask>=3 (from theeye-sync)")
print("ERROR: No matching distribution found for flask")
sys.exit(1)
"""


def install(python: Path, pip: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run .ci/install.py with a fake pip."""
    (folder / "pip.py").write_text(pip)
    environment = {"PYTHONPATH": str(folder)}
    return subprocess.run([python, INSTALL, "run"], env=environment, capture_output=True, text=True, timeout=60)


def test_the_first_time_needs_a_network_and_shows_what_it_does(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python, stamp = tmp_path / "venv/bin/python", tmp_path / "venv/.run"
    said = install(python, OFFLINE, tmp_path)
    first, step, error, last = said.stdout.splitlines()
    assert first.startswith("make: installing packages, 20 seconds to a minute")
    assert (step, error) == ("  Collecting flask>=3", "ERROR: No matching distribution found for flask")
    assert "The first time needs a network" in last
    assert (said.returncode, stamp.exists()) == (1, False)
    assert install(python, "", tmp_path).returncode == 0
    assert stamp.exists()


def test_later_it_starts_without_a_network(tmp_path: Path) -> None:
    said = install(Path(sys.executable), OFFLINE, tmp_path)
    begin, wait, *_ = said.stdout.splitlines()
    assert begin.startswith("make: installing packages")
    assert wait.startswith("make: without a network pip gives up after")
    assert "Starting with the installed ones" in said.stdout
    assert (said.returncode, "setup.cfg requires" in said.stdout) == (0, False)


def test_it_names_what_is_new_and_missing(tmp_path: Path) -> None:
    file = tmp_path / "setup.cfg"
    file.write_text(
        "[options]\ninstall_requires =\n    flask >= 3\n    requests >= 999\n    news ; python_version < '3'\n"
        "[options.extras_require]\nall = theeye-sync[a, b]\na = no-such-package >= 1\nb =\n    redis[hiredis]\n    no\n"
    )
    missing = runpy.run_path(str(INSTALL))["missing"]
    assert missing(["all"], file) == ["requests >= 999", "no-such-package >= 1", "no"]
