"""Tests in several processes: each is run once, a failure is shown, and a process that dies is no success."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import CHECKOUT

TESTS = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(50))
def test_one(number):
    with pathlib.Path("ran").open("a") as ran:
        ran.write(f"{number} {os.getppid()}\\n")

def test_other():
    print("what it printed")
    """


@pytest.mark.parametrize(
    ("other", "status", "words"),
    [
        ("pass", 0, ["51 passed"]),
        ("assert not 1", 1, ["what it printed", "assert not 1", "1 failed, 50 passed"]),
        ("os._exit(7)", 3, ["has ended with 7"]),
    ],
)
def test_what_they_say_together(other: str, status: int, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "test_these.py").write_text(TESTS + other)
    options = ["-q", "-p", "no:schemathesis", "-p", "support.forks", "--forks", "3", "-c", os.devnull, "."]
    command = [sys.executable, "-m", "pytest", *options]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "tests")}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as running:
        said = running.communicate(timeout=60)[0]
    assert running.returncode == status, said
    for each in words:
        assert each in said
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert sorted(int(number) for number, _ in ran) == list(range(50))
    assert {parent for _, parent in ran} == {str(running.pid)}, "in processes of its own"
