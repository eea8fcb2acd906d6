"""Keep the folder in which all processes of the service store their numbers for Prometheus."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the name is prometheus_client's
_MADE_VARIABLE = "THEEYE_SYNC_METRICS_FOLDER"  # tells a folder of ours from one that the operator names


def prepare() -> None:
    """Make the folder and put it into the environment, or empty the one that the operator named."""
    named = os.environ.get(FOLDER_VARIABLE, "")
    if named and named != os.environ.get(_MADE_VARIABLE):
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob("*.db"):
            file.unlink(missing_ok=True)
        return
    # A gunicorn that replaces itself (SIGUSR2) hands its environment on: the new one makes a folder of its own.
    os.environ[FOLDER_VARIABLE] = os.environ[_MADE_VARIABLE] = tempfile.mkdtemp(prefix="theeye-sync-metrics-")
    atexit.register(_remove_of, os.getpid())


def forget_process(pid: int) -> None:
    """Drop what a dead worker was waiting for; what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def remove() -> None:
    """Remove the folder, unless the operator named it."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and folder == os.environ.get(_MADE_VARIABLE):
        shutil.rmtree(folder, ignore_errors=True)


def _remove_of(owner: int) -> None:
    """Remove the folder where gunicorn ends before it has started; the workers inherit this and must not."""
    if os.getpid() == owner:
        remove()
