"""Test that a task is read with the caller's token before its first run."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.client import error_of, post
from support.faults import Fault
from support.processes import Redis
from support.theeye import ACME, BETA, JOB, TASK, Held, Html, Late, Reply, Reset, Session, Silence, StandIn

from app import Services
from app.runs import tasks

OTHERS = "61f3e937c38201da80f96c55"


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_a_task_of_another_organisation_is_not_run(
    spelling: Any, guard: bool, make_app: Callable[..., Flask], theeye: StandIn
) -> None:
    """TheEye itself would run it."""
    client = make_app(history_guard=guard).test_client()
    theeye.task(OTHERS, owner=BETA)
    target = f"/acme/task/{spelling(OTHERS)}/job"
    for _ in range(2):  # a refusal is not remembered
        assert error_of(post(client, target), 404, "")["value"]["message"] == "task not found"
    assert not theeye.jobs
    assert post(client, target.replace("acme", "beta"), Authorization="Bearer tok-beta").status_code == 200
    assert post(client, target).status_code == 404
    assert len(theeye.jobs) == 1


def test_a_task_that_theeye_shows_to_another_organisation_is_not_run(client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("task", Reply(200, {"id": TASK, "customer_id": BETA.customer_id}))
    error_of(post(client), 404, "ENOTFOUND")
    assert not theeye.jobs


@pytest.mark.parametrize(
    ("fault", "status", "code", "words"),
    [
        (Silence(), 502, "ESUPERVISOR", "TheEye did not answer; nothing was started. It never answers callers whom"),
        (Reset(), 502, "ESUPERVISOR", "TheEye did not answer; nothing was started"),
        (Reply(500, {"message": "oops", "stack": "at x"}), 502, "ESUPERVISOR", "status 500, nothing was started"),
        (Reply(302, {}), 502, "ESUPERVISOR", "status 302, nothing was started"),
        (Reply(204, {}), 502, "ESUPERVISOR", "status 204, nothing was started"),
        (Html(502), 502, "ESUPERVISOR", "status 502, nothing was started"),
        *[
            (Reply(200, nonsense), 502, "ESUPERVISOR", "did not show the task")
            for nonsense in (None, [], "x", {}, {"id": None}, {"id": OTHERS})
        ],
        (Reply(400, "task id is invalid"), 400, "", "Invalid Request"),
        (Reply(403, "Forbidden"), 403, "", "Invalid Request"),
        (Reply(409, {"message": "no"}), 409, "", "Invalid Request"),
    ],
)
def test_a_task_that_cannot_be_read_is_not_run(
    fault: Fault, status: int, code: str, words: str, client: FlaskClient, services: Services, theeye: StandIn
) -> None:
    theeye.fault("task", fault, times=1)
    with pytest.MonkeyPatch.context() as short:
        if isinstance(fault, Silence):
            short.setattr(services.supervisor, "_call_timeout", 0.5)
        assert words in error_of(post(client, f"{JOB}?wait=5"), status, code)["message"]
    assert not theeye.calls_of("create")
    assert post(client).status_code == 200, "only a success is remembered"


def test_a_token_that_is_refused_for_the_task_is_forgotten(client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("task", Reply(401, "Unauthorized"), times=1)
    assert post(client).status_code == 401
    assert post(client).status_code == 200
    assert len(theeye.calls_of("profile")) == 2


def test_the_read_is_made_once_for_each_customer_and_task(client: FlaskClient, theeye: StandIn) -> None:
    theeye.tokens["tok-colleague"] = Session(ACME.customer_id, ACME.customer, "5e00000000000000000000a2", "eve")
    theeye.fault("task", Late(0.2), times=1)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(client.application.test_client()).status_code, range(20)))
    assert answers == [200] * 20
    assert post(client, Authorization="Bearer tok-colleague").status_code == 200
    assert len(theeye.calls_of("task")) == 1
    with pytest.MonkeyPatch.context() as later:
        later.setattr(tasks, "monotonic", lambda clock=tasks.monotonic: clock() + tasks.KNOWN_SECONDS)
        assert post(client).status_code == 200
    assert len(theeye.calls_of("task")) == 2


def test_a_caller_who_gets_no_answer_holds_up_no_other(client: FlaskClient, theeye: StandIn) -> None:
    theeye.tokens["tok-shut-out"] = Session(ACME.customer_id, ACME.customer, "5e00000000000000000000a2", "eve")
    held = Held(lost=True)
    theeye.fault("task", held, when=lambda call: "shut-out" in call.headers["authorization"])
    with ThreadPoolExecutor(1) as pool:
        app = client.application
        shut_out = pool.submit(post, app.test_client(), Authorization="Bearer tok-shut-out")
        assert held.arrived.wait(20)
        assert post(client).status_code == 200
        assert not shut_out.done()
        held.released.set()
        error_of(shut_out.result(20), 502, "ESUPERVISOR")
    theeye.fault("create", Reply(403, "Forbidden"))
    assert post(client, Authorization="Bearer tok-shut-out").status_code == 403, "the create tells who may run it"


def test_all_callers_who_get_no_answer_are_told_the_same(app: Flask, services: Services, theeye: StandIn) -> None:
    services.supervisor._call_timeout = 0.5
    theeye.fault("task", Silence())
    with ThreadPoolExecutor(3) as pool:
        for got in pool.map(lambda _: post(app.test_client(), f"{JOB}?wait=1"), range(3)):
            assert "TheEye did not answer; nothing was started" in error_of(got, 502, "ESUPERVISOR")["message"]
    assert not theeye.calls_of("create")


def test_so_many_tasks_are_remembered(services: Services, monkeypatch: pytest.MonkeyPatch, theeye: StandIn) -> None:
    monkeypatch.setattr(tasks, "KNOWN", 2)
    known = services.runs._tasks._known
    for name in ("a", "b", "c"):
        services.runs._tasks._remember(name)
    assert list(known) == ["b", "c"]


def test_a_key_whose_task_could_not_be_read_is_free_again(
    make_app: Callable[..., Flask], theeye: StandIn, redis_server: Redis
) -> None:
    client = make_app(redis_url=redis_server.url).test_client()
    theeye.fault("task", Silence(), times=1)
    error_of(post(client, f"{JOB}?wait=0", Idempotency_Key="unread"), 502, "ESUPERVISOR")
    got = post(client, Idempotency_Key="unread")
    assert (got.status_code, got.headers.get("Idempotency-Replayed")) == (200, None)
    theeye.fault("task", Silence())
    later = post(make_app(redis_url=redis_server.url).test_client(), Idempotency_Key="unread")
    assert later.headers["X-Job-Id"] == got.headers["X-Job-Id"], "a repeated request joins the job without a read"
