"""What a review found by experiment: readers that go, spellings of an id, the limit of open files, preloading."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
import requests
from support.processes import CHECKOUT, Service, clean_environment, free_port
from support.theeye import TASK, StandIn

from app.errors import ClientGone
from app.settings import Settings
from app.theeye.client import Caller, Supervisor
from app.waiter.clients import Client, Clients
from app.waiter.job_waiter import JobWaiter
from app.waiter.notifications import Notifications


def test_a_reader_that_goes_while_reads_fail_frees_its_place() -> None:
    supervisor = Supervisor(Settings(supervisor_url=f"http://127.0.0.1:{free_port()}"))
    waiter, client = JobWaiter(supervisor, Notifications(), Clients(), 1), Client()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(waiter.fetch, Caller("acme", "t"), "j1", monotonic() + 30, client)
        client.gone = True
        client.wake()
        with pytest.raises(ClientGone):
            reading.result(5)


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
    env = {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url}
    with soft_limit(512), Service(env, worker=worker) as service:
        limits = Path(f"/proc/{service.worker_pids()[0]}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        assert int(line.split()[3]) >= min(hard, 3000)
        headers = {"Authorization": "Bearer tok-acme", "Connection": "close"}
        made = requests.post(f"{service.url}/acme/task/{TASK}/job", json=[1], headers=headers, timeout=30)
        url = f"{service.url}/acme/task/{TASK.upper()}/job/{made.headers['X-Job-Id']}"
        assert requests.get(url, headers=headers, timeout=30).json() == ['{"a":1}']


def test_preloading_under_gevent_is_refused() -> None:
    env = clean_environment() | {"SYNC_BIND": f"127.0.0.1:{free_port()}"}
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "app.serving.gevent_worker.Worker", "--preload"]
    ran = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=30)
    assert ran.returncode != 0
    assert "preload_app cannot go with gevent" in ran.stderr
