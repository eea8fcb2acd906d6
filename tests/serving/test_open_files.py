"""The limit of open files is raised for all slots."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from support.processes import Service
from support.settings import environment
from support.theeye import TASK, StandIn


@contextmanager
def soft_limit(files: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_open_files_suffice_for_all_places_and_an_id_may_be_upper_case(worker: str, theeye: StandIn) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    theeye.task(output=['{"a":1}'])
    env = environment(theeye)
    with soft_limit(512), Service(env, worker=worker) as service:
        limits = Path(f"/proc/{service.worker_pids()[0]}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        assert int(line.split()[3]) >= min(hard, 3000)
        headers = {"Authorization": "Bearer tok-acme", "Connection": "close"}
        made = requests.post(f"{service.url}/acme/task/{TASK}/job", json=[1], headers=headers, timeout=30)
        url = f"{service.url}/acme/task/{TASK.upper()}/job/{made.headers['X-Job-Id']}"
        assert requests.get(url, headers=headers, timeout=30).json() == ['{"a":1}']
