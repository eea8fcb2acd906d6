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


def take_one(siblings: Iterable[int], log: logging.Logger) -> None:
    """Run this process on one core from now on, the one that the fewest of the other workers (by pid) have taken."""
    if not hasattr(os, "sched_setaffinity"):
        return
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
