"""Test that threaded workers divide the cores, and that greenlets may run on any core."""

import logging
import os
import signal
from contextlib import suppress
from functools import partial

import pytest
from support.processes import Service, wait_until

from app import cpus
from app.serving import cores

CORES = os.sched_getaffinity(0)


def taken(service: Service) -> list[set[int]]:
    """Return the cores of each worker."""
    cores = []
    for pid in service.worker_pids():
        with suppress(ProcessLookupError):
            cores.append(os.sched_getaffinity(pid))
    return sorted(cores, key=min)


def succeeded(service: Service, dead: int, cores: list[set[int]]) -> bool:
    return dead not in service.worker_pids() and taken(service) == cores


@pytest.mark.skipif(len(CORES) < 2, reason="this machine has one core")
def test_each_worker_has_a_core_of_its_own_and_so_has_its_successor() -> None:
    workers = len(CORES)
    with Service(worker="gthread", workers=workers) as service:
        for _ in range(3):
            found = taken(service)
            assert [len(cores) for cores in found] == [1] * workers
            assert len(set.union(*found)) == workers
            assert f"workers: {workers}, each tied to a core\n" in service.log_text()
            first = service.worker_pids()[0]
            os.kill(first, signal.SIGKILL)
            wait_until(partial(succeeded, service, first, found), 60, "a successor")


def test_more_workers_than_cores_share_them_evenly() -> None:
    with Service(worker="gthread", workers=2 * len(CORES)) as service:
        wait_until(lambda: sorted(map(min, taken(service))) == sorted([*CORES, *CORES]), 60, "two on each core")


def test_the_core_with_the_fewest_workers_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    assert cores.choose([0, 0, 1, 2, 2]) == 1
    assert cores.choose([0, 1, 5]) == 2
    assert {cores.choose([1]) for _ in range(200)} == {0, 2}


def test_a_core_that_may_not_be_taken_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        cores.tie(2**16, logging.getLogger("worker"))
    assert "this worker stays on all cores, and uses more CPU there: Invalid argument" in caplog.text


def test_greenlets_run_anywhere() -> None:
    with Service(worker="gevent", workers=2) as service:
        assert taken(service) == [CORES, CORES]
        assert f"TheEye Sync at {service.url}; workers: 2\n" in service.log_text()


@pytest.mark.skipif(len(CORES) < 2, reason="this machine has one core")
def test_fewer_workers_than_cores_run_anywhere() -> None:
    with Service(worker="gthread", workers=1) as service:
        assert taken(service) == [CORES]
        reason = f"fewer than the {len(CORES)} cores"
        assert f"TheEye Sync at {service.url}; workers: 1, not tied to cores: {reason}\n" in service.log_text()


@pytest.mark.parametrize(
    ("quota", "workers", "reason"),
    [
        (None, 4, ""),
        (None, 5, ""),
        (None, 3, "fewer than the 4 cores"),
        (1.5, 4, "a CPU quota of 1.5"),
        (8, 4, "a CPU quota of 8"),
    ],
)
def test_what_keeps_workers_untied(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, workers: int, reason: str
) -> None:
    monkeypatch.setattr(cpus, "allowed", lambda: 4)
    monkeypatch.setattr(cpus, "quota", lambda: quota)
    assert cores.reason_to_roam(workers) == reason
