"""Looks at a job: two calls in one deadline, and a reader that goes."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from support.processes import free_port
from support.theeye import TASK, Late, Silence, StandIn

from app.errors import ClientGone
from app.settings import Settings
from app.theeye.client import Caller, Supervisor
from app.waiter import job_waiter as waiter
from app.waiter.clients import Client, Clients
from app.waiter.job_waiter import JobWaiter
from app.waiter.notifications import Notifications


def test_a_look_of_two_calls_takes_no_longer_than_one(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiter, "LAST_LOOK", 0.1)
    supervisor = Supervisor(Settings(supervisor_url=theeye.url))
    caller = Caller("acme", "tok-acme")
    job = supervisor.create(caller, TASK, "", b"[]")
    theeye.fault("lifecycle", Late(0.5))
    theeye.fault("read", Silence())
    deadline = monotonic() + 1
    seen = JobWaiter(supervisor, Notifications(), Clients(), 1).wait(caller, job, deadline, Client(), 0)
    assert seen.id == job.id
    assert len(theeye.calls_of("read")) == 1, "the lifecycle said that it had ended, and the document did not come"
    assert -0.1 < monotonic() - deadline < 8
    supervisor.transport.close()


def test_a_reader_that_goes_while_reads_fail_frees_its_place() -> None:
    supervisor = Supervisor(Settings(supervisor_url=f"http://127.0.0.1:{free_port()}"))
    waiter, client = JobWaiter(supervisor, Notifications(), Clients(), 1), Client()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(waiter.fetch, Caller("acme", "t"), "j1", monotonic() + 30, client)
        client.gone = True
        client.wake()
        with pytest.raises(ClientGone):
            reading.result(20)
