"""Threaded workers share the cores out among themselves; greenlets may run anywhere."""

import os
import signal
from contextlib import suppress
from functools import partial

import pytest
from support.processes import Service, wait_until

CORES = os.sched_getaffinity(0)


def taken(service: Service) -> list[set[int]]:
    """The cores of each worker."""
    cores = []
    for pid in service.worker_pids():
        with suppress(ProcessLookupError):
            cores.append(os.sched_getaffinity(pid))
    return sorted(cores, key=min)


def succeeded(service: Service, dead: int, cores: list[set[int]]) -> bool:
    return dead not in service.worker_pids() and taken(service) == cores


@pytest.mark.skipif(len(CORES) < 2, reason="this machine has one core")
def test_each_worker_has_a_core_of_its_own_and_so_has_its_successor() -> None:
    workers = min(len(CORES), 3)
    with Service(worker="gthread", workers=workers) as service:
        for _ in range(3):
            found = taken(service)
            assert [len(cores) for cores in found] == [1] * workers
            assert len(set.union(*found)) == workers
            first = service.worker_pids()[0]
            os.kill(first, signal.SIGKILL)
            wait_until(partial(succeeded, service, first, found), 60, "a successor")


def test_more_workers_than_cores_share_them_evenly() -> None:
    with Service(worker="gthread", workers=2 * len(CORES)) as service:
        wait_until(lambda: sorted(map(min, taken(service))) == sorted([*CORES, *CORES]), 60, "two on each core")


def test_greenlets_run_anywhere() -> None:
    with Service(worker="gevent", workers=2) as service:
        assert taken(service) == [CORES, CORES]
