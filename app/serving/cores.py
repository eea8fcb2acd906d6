"""Tie each threaded worker to a core, on Linux.

Threads on several cores pass Python's lock between them, which costs CPU: without this module `make bench` measures
1.1 to 1.35 times the CPU and two thirds of the requests per second (two workers, two cores). frappe/frappe#28854 does
the same for its workers.
"""

import logging
import os
import random
from collections import Counter
from collections.abc import Iterable
from itertools import chain

from app import cpus


def reason_to_roam(workers: int) -> str:
    """Return why threaded workers are not tied to cores, or an empty text if they are.

    A CPU quota limits time, not cores: a worker tied to a core that others use would have to wait for it. With fewer
    workers than cores, the kernel does better: it moves a worker to a free core.
    """
    if not hasattr(os, "sched_setaffinity"):
        return "this system has no affinity"
    if (quota := cpus.quota()) is not None:
        return f"a CPU quota of {quota:g}"
    if workers < cpus.allowed():
        return f"fewer than the {cpus.allowed()} cores"
    return ""


def take_one(siblings: Iterable[int], log: logging.Logger) -> None:
    """Tie this process to the core that the fewest other workers (given by pid) are tied to."""
    cores, taken = os.sched_getaffinity(0), Counter(chain.from_iterable(map(_cores_of, siblings)))
    least = min(taken[core] for core in cores)
    try:
        os.sched_setaffinity(0, {random.choice([core for core in cores if taken[core] == least])})
    except PermissionError:
        log.info("this worker may not pin itself to one core, and uses more CPU on several")


def _cores_of(pid: int) -> set[int]:
    """Return the cores that a process may run on; none if it has ended."""
    try:
        return os.sched_getaffinity(pid)
    except ProcessLookupError:
        return set()
