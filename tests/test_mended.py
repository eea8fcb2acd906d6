"""What reviews found by experiment and was mended: deadlines that add up, a stop, a log, a Redis that refuses."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from support.processes import CHECKOUT, Process, Redis, Service, clean_environment, free_port, user_of, wait_until
from support.theeye import TASK, Late, Silence, StandIn

from app import EXTENSION, Services, Settings, create_app
from app.runs import runs
from app.theeye.client import Caller, Supervisor
from app.waiter import job_waiter as waiter
from app.waiter.clients import Client, Clients
from app.waiter.job_waiter import JobWaiter
from app.waiter.notifications import Notifications

JOB = f"/acme/task/{TASK}/job"
TOKEN = {"Authorization": "Bearer tok-acme"}


@contextmanager
def serving(theeye: StandIn, **settings: Any) -> Iterator[tuple[Services, FlaskClient]]:
    """The service in this process, in front of the stand-in."""
    app = create_app(Settings(gateway_url=theeye.url, supervisor_url=theeye.url, **settings))
    services: Services = app.extensions[EXTENSION]
    yield services, app.test_client()
    services.supervisor.transport.close()
    services.health._gateway.close()


def test_a_look_of_two_calls_takes_no_longer_than_one(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiter, "LAST_LOOK", 0.1)
    supervisor = Supervisor(Settings(supervisor_url=theeye.url))
    caller = Caller("acme", "tok-acme")
    job = supervisor.create(caller, TASK, "", b"[]")
    theeye.fault("lifecycle", Late(0.7))
    theeye.fault("read", Silence())
    deadline = monotonic() + 1
    seen = JobWaiter(supervisor, Notifications(), Clients(), 1).wait(caller, job, deadline, Client(), 0)
    assert seen.id == job.id
    assert len(theeye.calls_of("read")) == 1, "the lifecycle said that it had ended, and the document did not come"
    assert -0.1 < monotonic() - deadline < 0.5
    supervisor.transport.close()


def test_nothing_is_created_once_the_grace_is_over(theeye: StandIn) -> None:
    with serving(theeye, grace_seconds=0) as (services, client):
        assert client.post(JOB, headers=TOKEN).status_code == 200
        services.stop()
        refused = client.post(JOB, headers=TOKEN)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "EBUSY")
    assert "nothing was started" in refused.get_json()["message"]
    assert len(theeye.calls_of("create")) == 1


@pytest.mark.parametrize(("patience", "learning"), [(0.3, 5.0), (30.0, 0.3)])
def test_learning_a_tasks_limit_is_bounded(
    patience: float, learning: float, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the request's own wait, and by what it may cost at the most."""
    monkeypatch.setattr(runs, "LEARN_SECONDS", learning)
    theeye.fault("task", Silence())
    with serving(theeye) as (_, client), ThreadPoolExecutor(1) as pool:
        began = monotonic()
        answer = pool.submit(client.post, f"{JOB}?wait={patience:g}", headers=TOKEN)
        theeye.wait_for_calls("create", 1)
        assert 0.25 < monotonic() - began < 1.5
        assert "X-Job-Id" in answer.result(10).headers
    assert len(theeye.calls_of("task")) == 1


def test_flasks_own_server_logs_no_token(theeye: StandIn) -> None:
    process, port = Process(), free_port()
    environ = clean_environment() | {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url}
    try:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "run", "--port", str(port)]
        process.launch(command, cwd=CHECKOUT, env=environ)
        wait_until(lambda: "Running on" in process.log_text(), 20, "flask run")
        url = f"http://127.0.0.1:{port}{JOB}?access_token=tok-acme&wait=1"
        assert requests.post(url, timeout=30).status_code == 200
        wait_until(lambda: "POST" in process.log_text(), 5, "the request's line")
        log = process.log_text()
    finally:
        process.kill()
        process.close()
    assert "access_token=***&wait=1" in log
    assert "tok-acme" not in log


def test_readyz_tells_of_a_redis_that_refuses_scripts(theeye: StandIn) -> None:
    with Redis() as redis, user_of(redis, "~* &* +@all -evalsha") as url:
        env = {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url, "SYNC_REDIS_URL": url}
        with Service(env) as service:
            headers = TOKEN | {"Idempotency-Key": "k1", "Connection": "close"}
            refused = requests.post(service.url + JOB, headers=headers, timeout=30)
            assert (refused.status_code, refused.json()["code"]) == (503, "EKEYSDOWN")
            ready = requests.get(f"{service.url}/readyz", headers={"Connection": "close"}, timeout=30)
            assert ready.status_code == 200
            told = ready.json()
            assert told["degraded"] == ["redis: no idempotency keys, and the history guard spans one process"]
            assert (told["status"], told["history_guard"]) == ("ready", "one process")
