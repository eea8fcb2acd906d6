"""Read CPU time and memory of processes, and a description of the machine, from the operating system."""

import os
import platform
import resource
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
PACKAGES = ("gunicorn", "gunicorn_h1c", "gevent", "flask", "redis", "hiredis")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of these processes so far."""
    return sum(_ticks(pid) for pid in pids) * TICK


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def busy_seconds() -> float:
    """Return the time that all cores have been busy so far, added up."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, _stat_line().split()[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK


def _stat_line() -> str:
    return Path("/proc/stat").read_text().partition("\n")[0]


def ended_children_seconds() -> float:
    """Return the CPU time of this process's ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_kb(pids: Iterable[int]) -> int:
    """Return the memory of these processes in kB; count shared memory once."""
    return sum(_pss(pid) for pid in pids)


def _pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def allow_files(needed: int) -> bool:
    """Return whether a process may open `needed` files; raise the soft limit for processes started later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return False
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return True


def cores() -> int:
    """Return the number of usable cores."""
    return len(os.sched_getaffinity(0))


def description() -> dict[str, str | int]:
    """Return the machine and the installed packages, for the report."""
    found: dict[str, str | int] = {"cores": cores(), "cpu": _model(), "system": platform.platform()}
    found["python"] = platform.python_version()
    return found | {name: installed(name) for name in PACKAGES}


def installed(package: str) -> str:
    """Return a package's version, or `none`."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
