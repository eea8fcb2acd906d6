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


def choose(taken: Iterable[int]) -> int:
    """Return the core that the fewest of the other workers have; of several, one at random: they serve other masters.

    The master chooses, before it forks: two workers that choose for themselves at the same moment take the same core.
    """
    counts = Counter(taken)
    cores = os.sched_getaffinity(0)
    least = min(counts[core] for core in cores)
    return random.choice([core for core in cores if counts[core] == least])


def tie(core: int, log: logging.Logger) -> None:
    """Tie this process to a core."""
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:  # forbidden (a seccomp profile), or a core that has been taken from this container
        log.info("this worker stays on all cores, and uses more CPU there: %s", error.strerror)
