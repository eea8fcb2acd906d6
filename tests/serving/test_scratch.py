"""Test temporary files with a read-only root: `/tmp` or `/dev/shm` is enough; without both the start reports it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import CHECKOUT, clean_environment, need

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")

DIRECTORIES = ("/", "/tmp", "/var/tmp", "/usr/tmp", "/dev/shm")  # that Python and this service try
PROGRAM = "from app.serving import scratch; scratch.prepare(); import tempfile; print(tempfile.gettempdir())"


def prepare_where_writable(*writable: str) -> subprocess.CompletedProcess[str]:
    """Call scratch.prepare() in a mount namespace where no other directory can be written."""
    mounted = [each for each in DIRECTORIES if Path(each).is_dir()]
    lines = ["set -e", "mount --make-rprivate /", *(f"mount --bind {each} {each}" for each in mounted[1:])]
    lines += [f"mount -o remount,bind,ro {each}" for each in mounted if each not in writable]
    script = "\n".join([*lines, 'cd /; exec "$@"'])
    command = [need("unshare", "util-linux"), "--mount", "sh", "-c", script, "-", sys.executable, "-c", PROGRAM]
    env = clean_environment() | {"PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("writable", "used"), [(("/tmp", "/dev/shm"), "/tmp"), (("/tmp",), "/tmp"), (("/dev/shm",), "/dev/shm")]
)
def test_one_directory_is_enough(writable: tuple[str, ...], used: str) -> None:
    ran = prepare_where_writable(*writable)
    assert (ran.stdout.strip(), ran.stderr) == (used, "")


def test_without_any_the_start_names_them() -> None:
    ran = prepare_where_writable()
    words = "no directory for temporary files can be written: one of /tmp, /dev/shm or TMPDIR must be"
    assert (ran.returncode, ran.stderr) == (1, f"theeye-sync: {words}\n")
