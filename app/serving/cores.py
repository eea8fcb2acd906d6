"""A core for each threaded worker, on Linux.

Threads that pass Python's lock from core to core cost more: without this `make bench` finds 1.1 to 1.35 times the CPU
and two thirds of the requests per second (two workers, two cores). frappe/frappe#28854 does the same for its workers.
"""

import logging
import os
import random
from collections import Counter
from collections.abc import Iterable
from itertools import chain

from app import cpus


def reason_to_roam(workers: int) -> str:
    """Return why threaded workers are not given a core each; empty where they are.

    A quota counts time and not cores: a worker that is tied to a core which others use would wait for its share. With
    fewer workers than cores the kernel can move a worker to a core that is free.
    """
    if not hasattr(os, "sched_setaffinity"):
        return "this system has no affinity"
    if (quota := cpus.quota()) is not None:
        return f"a CPU quota of {quota:g}"
    if workers < cpus.allowed():
        return f"fewer than the {cpus.allowed()} cores"
    return ""


def take_one(siblings: Iterable[int], log: logging.Logger) -> None:
    """Run this process on one core from now on, the one that the fewest of the other workers (by pid) have taken."""
    cores, taken = os.sched_getaffinity(0), Counter(chain.from_iterable(map(_cores_of, siblings)))
    least = min(taken[core] for core in cores)
    try:
        os.sched_setaffinity(0, {random.choice([core for core in cores if taken[core] == least])})
    except PermissionError:
        log.info("this worker may not choose a core, and costs more CPU on several")


def _cores_of(pid: int) -> set[int]:
    """Return the cores that a process may run on; none where it has ended."""
    try:
        return os.sched_getaffinity(pid)
    except ProcessLookupError:
        return set()
