"""Where the processes of one gunicorn keep their numbers: a folder of files, theirs alone."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it when it is imported
_MADE = "THEEYE_SYNC_METRICS_FOLDER"  # tells a folder of ours from one that the operator names

_owner = 0


def choose() -> None:
    """The operator's folder, or a new one; an earlier gunicorn that became this one (SIGUSR2) keeps its own."""
    global _owner
    named = os.environ.get(VARIABLE, "")
    if named and named != os.environ.get(_MADE):
        Path(named).mkdir(parents=True, exist_ok=True)
        return
    os.environ[VARIABLE] = os.environ[_MADE] = tempfile.mkdtemp(prefix="theeye-sync-metrics-")
    _owner = os.getpid()
    atexit.register(_remove_if_owner)


def empty() -> None:
    """Removes what an earlier run has left."""
    for file in Path(os.environ[VARIABLE]).glob("*.db"):
        file.unlink(missing_ok=True)


def forget(pid: int) -> None:
    """A worker is dead: what it was just doing no longer counts, what it has done still does."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def remove() -> None:
    """Removes a folder of ours."""
    if os.environ.get(VARIABLE) == os.environ.get(_MADE):
        shutil.rmtree(os.environ[VARIABLE], ignore_errors=True)


def _remove_if_owner() -> None:
    """Where gunicorn ended without having started; its workers run this too."""
    if os.getpid() == _owner:
        remove()
