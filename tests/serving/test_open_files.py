"""Test that the limit of open files is raised for all slots."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import Service
from support.theeye import TASK, StandIn
from support.wire import run


@contextmanager
def soft_limit(files: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_open_files_suffice_for_all_places_and_an_id_may_be_upper_case(
    worker: str, theeye: StandIn, service: Callable[..., Service]
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    theeye.task(output=['{"a":1}'])
    with soft_limit(512):
        running = service(worker)
    limits = Path(f"/proc/{running.worker_pids()[0]}/limits").read_text()
    line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
    assert int(line.split()[3]) >= min(hard, 3000)
    job_id = run(running).header("X-Job-Id")
    got = running.ask("GET", f"/acme/task/{TASK.upper()}/job/{job_id}")
    assert got.json() == ['{"a":1}']
