"""Keep the folder in which all processes of the service store their numbers for Prometheus.

Each instance has a folder of its own, also in the one that the operator names: several may be given the same one, and
in containers their workers have the same process ids, by which prometheus_client names its files.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the name is prometheus_client's
_MADE_VARIABLE = "THEEYE_SYNC_METRICS_FOLDER"  # tells a folder of ours from one that the operator names
_PREFIX = "theeye-sync-metrics-"
_LOCK = "lock"  # the file that an instance's processes keep locked: the kernel unlocks it when the last has ended


def prepare() -> None:
    """Make the folder, in the one that the operator named if there is one, and put it into the environment.

    Raise SystemExit where it cannot be made.
    """
    named, made = (os.environ.get(name, "") for name in (FOLDER_VARIABLE, _MADE_VARIABLE))
    try:
        # A gunicorn that replaces itself (SIGUSR2) hands its environment on: the new one makes a folder beside the old.
        folder = _make_in(Path(named)) if named and named != made else _make(Path(made).parent if made else None)
    except OSError as error:
        raise SystemExit(f"theeye-sync: no folder for metrics in {named or 'TMPDIR'}: {error.strerror}") from None
    os.environ[FOLDER_VARIABLE] = os.environ[_MADE_VARIABLE] = folder
    atexit.register(_remove_of, os.getpid())


def forget_process(pid: int) -> None:
    """Drop what a dead worker was waiting for; what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def remove() -> None:
    """Remove the folder."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and folder == os.environ.get(_MADE_VARIABLE):
        shutil.rmtree(folder, ignore_errors=True)


def _make_in(named: Path) -> str:
    """Make a folder in the operator's, and remove those there that killed instances have left behind."""
    named.mkdir(parents=True, exist_ok=True)
    with (named / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one instance at a time: a folder that was just made is not locked yet
        for left in named.glob(f"{_PREFIX}*"):
            if (held := _lock(left)) is not None:
                os.close(held)
                shutil.rmtree(left, ignore_errors=True)
        folder = _make(named)
        _lock(Path(folder))
    return folder


def _make(parent: Path | None) -> str:
    return tempfile.mkdtemp(prefix=_PREFIX, dir=parent)


def _lock(folder: Path) -> int | None:
    """Lock a folder until the returned file is closed, also by the end of the process; None where another has it."""
    try:
        file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # another user's, or removed meanwhile
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _remove_of(owner: int) -> None:
    """Remove the folder where gunicorn ends before it has started; the workers inherit this and must not."""
    if os.getpid() == owner:
        remove()
