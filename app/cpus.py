"""Count the cores that this process may use, from its affinity and the CPU quota of its control groups.

A container sees all cores of its host, and a quota limits how much of them it may use (`docker run --cpus`, a limit in
Kubernetes). Python's own count reads the affinity only (python/cpython#80235).
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")

_MEMBERSHIP = re.compile(r"[0-9]+:([^:]*):(/.*)")  # cgroups(7)
_MOUNT = re.compile(  # proc_pid_mountinfo(5)
    r"(?:[^ ]+ ){3}(?P<top>[^ ]+) (?P<folder>[^ ]+) .*? - (?P<kind>[^ ]+) [^ ]* (?P<options>[^ ]+)"
)


def allowed() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota(root: Path = ROOT) -> float | None:
    """Return the CPU quota in cores, such as 0.5, or None if there is none.

    Parent groups have quotas too, and the smallest one applies (cgroups(7)). `root` is the folder of `proc` and `sys`.
    """
    return min((cores for folder in _groups(root) for cores in _quotas_of(folder)), default=None)


def usable() -> int:
    """Return how many processes can have a whole core each; at least one."""
    cores, limit = allowed(), quota()
    return cores if limit is None else max(1, min(cores, int(limit)))


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folder of each control group of this process and of its parent groups, as far as they are mounted."""
    group = {controller: path for controllers, path in _memberships(root) for controller in controllers.split(",")}
    for controller, top, mounted in _mounts(root):
        path = group.get(controller)
        if path is not None:
            # A group may be outside of the mount: the top of the mount is then the nearest group that can be read.
            inside = path.relative_to(top) if path.is_relative_to(top) and ".." not in path.parts else PurePosixPath()
            folder = root / mounted.lstrip("/")
            yield folder
            for part in inside.parts:
                folder /= part
                yield folder


def _memberships(root: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield the controllers of each hierarchy (an empty text in version 2) and the group of this process in it."""
    for found in filter(None, map(_MEMBERSHIP.fullmatch, _lines(root / "proc/self/cgroup"))):
        yield found[1], PurePosixPath(found[2])


def _mounts(root: Path) -> Iterator[tuple[str, PurePosixPath, str]]:
    """Yield the mounts of the hierarchies with a CPU quota: controller, group at the top of the mount, folder."""
    for found in filter(None, map(_MOUNT.fullmatch, _lines(root / "proc/self/mountinfo"))):
        if found["kind"] == "cgroup2":
            yield "", PurePosixPath(found["top"]), found["folder"]
        elif found["kind"] == "cgroup" and "cpu" in found["options"].split(","):
            yield "cpu", PurePosixPath(found["top"]), found["folder"]


def _quotas_of(group: Path) -> Iterator[float]:
    """Yield the quota of one group in cores, if it has one; `max` (version 2) and `-1` (version 1) mean none."""
    texts = [_lines(group / name) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    for numbers in ([" ".join(text) for text in texts], " ".join(_lines(group / "cpu.max")).split()):
        with suppress(ValueError, OverflowError):
            share, period = map(int, numbers[:2])
            if share > 0 and period > 0:
                yield share / period


def _lines(file: Path) -> list[str]:
    """Return a file's lines, or none if it cannot be read: a system without control groups has no quota."""
    try:
        text = file.read_bytes().decode(errors="replace")  # the name of a mount may be any bytes
    except OSError:
        return []
    return [line for line in text.split("\n") if line]  # splitlines() would also split within such a name
