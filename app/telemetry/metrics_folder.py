"""Make and remove the folder in which all processes of the service store their metrics for Prometheus.

Each instance has a folder of its own. If the operator names a folder, it is made inside that one: several instances may
share the operator's folder, prometheus_client names its files by process id, and in containers these ids are the same.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # read by prometheus_client
_MADE_VARIABLE = "THEEYE_SYNC_METRICS_FOLDER"  # equal to FOLDER_VARIABLE if the folder is ours and not the operator's
_PREFIX = "theeye-sync-metrics-"
_SPACE = 1 << 20  # bytes that must be free at the start
# The files of a process as prometheus_client names them, and their bytes: enough for every combination of labels
# (about 200 bytes each), so that no file has to grow.
_FILES = {"counter": 128 << 10, "histogram": 64 << 10, "gauge_livesum": 64 << 10, "gauge_livemin": 64 << 10}


def prepare() -> None:
    """Make the folder, inside the operator's if there is one, and set it in the environment. Raise SystemExit."""
    named, made = (os.environ.get(name, "") for name in (FOLDER_VARIABLE, _MADE_VARIABLE))
    try:
        # After SIGUSR2 the new gunicorn inherits the environment of the old one: it makes a folder beside the old one.
        folder = _make_in(Path(named)) if named and named != made else _make(Path(made).parent if made else None)
    except OSError as error:
        raise SystemExit(f"theeye-sync: no folder for metrics in {named or 'TMPDIR'}: {error.strerror}") from None
    os.environ[FOLDER_VARIABLE] = os.environ[_MADE_VARIABLE] = folder
    atexit.register(_remove_of, os.getpid())
    _check_space(folder)


def reserve_space() -> None:
    """Make this process's files with all their blocks, before prometheus_client does. Raise OSError for lack of room.

    prometheus_client makes sparse files and maps them into memory. If the file system is full at the first write to a
    block, the kernel kills the process (SIGBUS), and with it all its waiting requests.
    """
    files = {Path(os.environ[FOLDER_VARIABLE], f"{kind}_{os.getpid()}.db"): size for kind, size in _FILES.items()}
    try:
        for path, size in files.items():
            with path.open("ab") as file:  # an earlier process with the same id may have left it: its counts go on
                file.write(bytes(max(0, size - file.tell())))
    except OSError:
        for path in files:
            path.unlink(missing_ok=True)
        raise


def forget_process(pid: int) -> None:
    """Drop the gauges of a dead worker, such as its waiting requests; keep its counters."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def remove() -> None:
    """Remove the folder."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and folder == os.environ.get(_MADE_VARIABLE):
        shutil.rmtree(folder, ignore_errors=True)


def _make_in(named: Path) -> str:
    """Make a folder inside the operator's, and remove the folders of instances that were killed.

    The processes of an instance keep its folder locked; the kernel unlocks it after the last of them.
    """
    named.mkdir(parents=True, exist_ok=True)
    one_at_a_time = os.open(named, os.O_RDONLY)  # another instance's new folder may not be locked yet
    try:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        for left in named.glob(f"{_PREFIX}*"):
            if (held := _lock(left)) is not None:
                os.close(held)
                shutil.rmtree(left, ignore_errors=True)
        folder = _make(named)
        _lock(Path(folder))
    finally:
        os.close(one_at_a_time)
    return folder


def _check_space(folder: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_SPACE))
    except OSError as error:
        words = f"metrics cannot be written in {Path(folder).parent}"
        raise SystemExit(f"theeye-sync: {words}: {error.strerror}") from None


def _make(parent: Path | None) -> str:
    return tempfile.mkdtemp(prefix=_PREFIX, dir=parent)


def _lock(folder: Path) -> int | None:
    """Lock a folder until the returned file is closed or the process ends; return None if another process locked it."""
    try:
        file = os.open(folder, os.O_RDONLY)
    except OSError:  # it belongs to another user, or was removed meanwhile
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _remove_of(owner: int) -> None:
    """Remove the folder if gunicorn ends before it has started; workers inherit this function, and must not."""
    if os.getpid() == owner:
        remove()
