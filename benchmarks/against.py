"""Another commit, unpacked into a temporary folder and served with the same packages."""

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

# What starts the service of the checkout that it lies in; older commits have it in the second place.
HARNESSES = ("tests/support/processes.py", "tests/servers.py")


@contextmanager
def service_of(commit: str) -> Iterator[type[Service]]:
    """Unpack a commit for a while, and give what starts its service: its own code and its own gunicorn.conf.py.

    The packages are those of this interpreter.
    """
    with tempfile.TemporaryDirectory(prefix="theeye-sync-") as folder:
        packed, checkout = Path(folder) / "commit.tar", Path(folder) / "checkout"
        _git("archive", "--format=tar", f"--output={packed}", commit)
        shutil.unpack_archive(packed, checkout, filter="data")
        yield _service_in(checkout)


@dataclass(frozen=True)
class Commit:
    """One commit of this repository."""

    hash: str
    subject: str

    def __str__(self) -> str:
        return f"{self.hash} {self.subject}"


def named(commit: str) -> Commit:
    """Return the commit of this name; ArgumentTypeError where there is none, or no git."""
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
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return cast(type[Service], module.Service)


def _git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    return ran.stdout.strip()
