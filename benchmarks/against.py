"""Serve another commit, from a temporary folder and with the same packages."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from benchmarks.processes import CHECKOUT, Service

# The module that starts the service of its own checkout; older commits have the second one.
HARNESSES = ("tests/support/processes.py", "tests/servers.py")


@contextmanager
def service_of(commit: str) -> Iterator[type[Service]]:
    """Unpack a commit and yield the class that starts its service, with its own code and gunicorn.conf.py.

    The packages are those of this interpreter.
    """
    with tempfile.TemporaryDirectory(prefix="theeye-sync-") as folder:
        packed, checkout = Path(folder) / "commit.tar", Path(folder) / "checkout"
        _git("archive", "--format=tar", f"--output={packed}", commit)
        shutil.unpack_archive(packed, checkout, filter="data")
        yield _service_in(checkout)


@dataclass(frozen=True)
class Commit:
    """Name a commit of this repository."""

    hash: str
    subject: str

    def __str__(self) -> str:
        return f"{self.hash} {self.subject}"


def named(commit: str) -> Commit:
    """Return the commit with a name. Raise ArgumentTypeError if there is none, or no git."""
    try:
        return Commit(*_git("log", "-1", "--format=%h%n%s", commit, "--").split("\n"))
    except (OSError, subprocess.CalledProcessError):
        raise ArgumentTypeError(f"git knows no commit {commit!r} here") from None


def _service_in(checkout: Path) -> type[Service]:
    harness = next(path for name in HARNESSES if (path := checkout / name).exists())
    spec = importlib.util.spec_from_file_location("processes_of_another_commit", harness)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module there
    spec.loader.exec_module(module)
    return cast(type[Service], module.Service)


def _git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()
