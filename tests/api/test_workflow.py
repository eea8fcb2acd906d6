"""Test a workflow behind one call: everything that a task's call guarantees, and what happened in each branch."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.client import RUN, ask, error_of, post
from support.events import stream
from support.processes import Redis, wait_until
from support.theeye import ACME, BETA, JOB, TASK, Answer, Exchange, Reply, Silence, StandIn
from support.workflows import ADMIN, FIRST, SECOND, THIRD, WORKFLOW, WORKFLOW_JOB
from werkzeug.test import TestResponse

from app import Services
from app.theeye import workflow_end, workflows
from app.theeye.callers import WORKFLOW as KIND
from app.theeye.callers import Caller, Runnable

FORK = [(FIRST, "success", SECOND), (FIRST, "success", THIRD)]
OUTPUT = {TASK_ID: [f'{{"step":{number}}}'] for number, TASK_ID in enumerate((FIRST, SECOND, THIRD), 1)}


@pytest.fixture(autouse=True)
def three_steps(theeye: StandIn) -> None:
    """Set up tasks that answer with their number; the workflow's own run automatically."""
    theeye.tokens["tok-admin"] = ADMIN
    for number, (task_id, output) in enumerate(OUTPUT.items(), 1):
        theeye.task(task_id, output=output, name=f"Step {number}")


def hold(theeye: StandIn, *task_ids: str) -> None:
    """Let the jobs of these tasks run until the test ends them."""
    for task_id in task_ids:
        theeye.task(task_id, delay=None, output=OUTPUT[task_id], name=f"Step {[*OUTPUT].index(task_id) + 1}")


@contextmanager
def waiting(app: Flask, theeye: StandIn, steps: int) -> Iterator[tuple[list[str], Future[TestResponse]]]:
    """Send a request that waits for its workflow; yield the ids of the job and its steps, and the answer's future."""
    before = len(theeye.jobs)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, app.test_client(), WORKFLOW_JOB)
        run = theeye.wait_for_jobs(before + 1)[before]
        yield [run, *(step["id"] for step in theeye.wait_for_steps(run, steps))], answer


def delete(client: FlaskClient, run: str, token: str = "tok-admin") -> TestResponse:
    return ask(client, "DELETE", f"{WORKFLOW_JOB}/{run}", Authorization=f"Bearer {token}")


def states(theeye: StandIn, run: str) -> list[str]:
    return [step["lifecycle"] for step in theeye.steps(run)]


@pytest.mark.parametrize(
    ("mode", "body"),
    [("", ['{"step":2}']), ("?parse", {"step": 2}), ("?result", {"code": 0, "output": ['{"step":2}']})],
)
def test_the_answer_is_the_last_tasks(mode: str, body: Any, client: FlaskClient, theeye: StandIn) -> None:
    theeye.workflow()
    got = post(client, WORKFLOW_JOB + mode)
    found = got.get_json()
    assert (got.status_code, found if mode != "?result" else {name: found[name] for name in body}) == (200, body)
    run = got.headers["X-Job-Id"]
    assert theeye.jobs[run]["_type"] == "WorkflowJob"
    assert (got.headers["X-Job-Lifecycle"], got.headers["X-Job-State"]) == ("finished", "success")
    later = ask(client, "GET", f"{WORKFLOW_JOB}/{run}{mode}")
    assert (later.status_code, later.data) == (200, got.data)


def test_full_has_the_workflows_job_and_those_of_its_tasks(client: FlaskClient, theeye: StandIn) -> None:
    theeye.workflow()
    got = post(client, f"{WORKFLOW_JOB}?full")
    run = got.headers["X-Job-Id"]
    assert got.get_json() == {**theeye.jobs[run], "jobs": theeye.steps(run)}
    assert got.get_json()["output"] == []


@pytest.mark.parametrize(
    ("edges", "output"),
    [
        (None, ['{"step":1}']),
        ([(FIRST, "failure", THIRD)], ['{"step":3}']),
        ([(FIRST, "success", THIRD)], ['{"step":1}']),
    ],
)
def test_a_workflow_that_fails_half_way(edges: Any, output: list[str], client: FlaskClient, theeye: StandIn) -> None:
    for task_id in (FIRST, THIRD):
        theeye.task(task_id, state="failure", output=OUTPUT[task_id])
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=edges)
    got = post(client, WORKFLOW_JOB)
    assert (got.status_code, got.get_json(), got.headers["X-Job-State"]) == (500, output, "failure")


@pytest.mark.parametrize("version", [2, None])
@pytest.mark.parametrize("last", [SECOND, THIRD])
def test_the_last_branch_to_end_answers(last: str, version: Any, app: Flask, theeye: StandIn) -> None:
    hold(theeye, SECOND, THIRD)
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=FORK, version=version)
    with waiting(app, theeye, 3) as ([run, _, second, third], answer):
        ends = [second, third] if last == THIRD else [third, second]
        theeye.finish(ends[0])
        looks = len(theeye.wait_for_calls("workflow_jobs", 1))
        theeye.wait_for_calls("workflow_jobs", looks + 2)
        assert not answer.done()
        theeye.finish(ends[1], state="failure", last_update="2022-01-28T17:00:23.000Z")
        got = answer.result(20)
    assert (got.status_code, got.get_json(), got.headers["X-Job-State"]) == (500, OUTPUT[last], "failure")
    assert ask(app.test_client(), "GET", f"{WORKFLOW_JOB}/{run}").status_code == 500


def test_a_workflow_of_the_first_version_is_over_when_nothing_follows(client: FlaskClient, theeye: StandIn) -> None:
    theeye.workflow(version=None)
    got = post(client, f"{WORKFLOW_JOB}?full")
    assert (got.status_code, got.headers["X-Job-Lifecycle"], got.headers["X-Job-State"]) == (200, "finished", "success")
    assert (got.get_json()["lifecycle"], len(got.get_json()["jobs"])) == ("ready", 2)
    assert post(client, WORKFLOW_JOB).get_json() == OUTPUT[SECOND]


def test_a_task_that_theeye_could_not_start_ends_its_workflow(client: FlaskClient, theeye: StandIn) -> None:
    """As after wrong arguments, TheEye announces no end, and the workflow's own job stays `ready`."""
    theeye.task(FIRST, state="error", lifecycle="terminated", output="InvalidTaskArguments", notify=False)
    theeye.workflow(by_hand=True)
    got = post(client, WORKFLOW_JOB)
    assert (got.status_code, got.get_json(), got.headers["X-Job-State"]) == (500, "InvalidTaskArguments", "error")


def test_a_workflow_whose_end_theeye_forgets_is_over_some_time_after_its_last_task(
    client: FlaskClient, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    theeye.workflow(tasks=[FIRST], by_hand=True)
    assert post(client, f"{WORKFLOW_JOB}?wait=0.5").status_code == 504
    monkeypatch.setattr(workflow_end, "STUCK_SECONDS", 0.3)
    got = post(client, WORKFLOW_JOB)
    assert (got.status_code, got.get_json(), got.headers["X-Job-State"]) == (200, OUTPUT[FIRST], "success")


@pytest.mark.parametrize("settles", [0.3, 60])
def test_a_step_that_should_follow_is_waited_for_so_long(
    settles: float, client: FlaskClient, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow_end, "SETTLE_SECONDS", settles)
    theeye.workflow(version=None, by_hand=True)
    got = post(client, f"{WORKFLOW_JOB}?wait={1 if settles == 60 else 30}")
    run = got.get_json()["job"]["id"] if settles == 60 else got.headers["X-Job-Id"]
    assert (got.status_code, len(theeye.steps(run))) == (504 if settles == 60 else 200, 1)
    assert ask(client, "GET", f"{WORKFLOW_JOB}/{run}?wait=0").status_code == 200, "it is old by TheEye's date"


def test_a_cycle_is_bounded_and_can_be_cancelled(
    client: FlaskClient, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows, "MOST_STEPS", 5)
    theeye.task(SECOND, delay=0.01)
    theeye.workflow(edges=[(FIRST, "success", SECOND), (SECOND, "success", FIRST)])
    error = error_of(post(client, WORKFLOW_JOB), 502, "EJOBTOOLARGE")
    assert "more than 5 tasks have run" in error["message"]
    run = error["job"]["id"]
    assert run == theeye.wait_for_jobs(1)[0]
    hold(theeye, SECOND)
    wait_until(lambda: (states(theeye, run)[-1], theeye.steps(run)[-1]["task_id"]) == ("ready", SECOND), 20, "the hold")
    for query in ("", "?wait=0"):
        error_of(ask(client, "GET", f"{WORKFLOW_JOB}/{run}{query}"), 502, "EJOBTOOLARGE")
    error_of(ask(client, "DELETE", f"{WORKFLOW_JOB.replace(WORKFLOW, TASK)}/{run}"), 404, "ENOTFOUND")
    monkeypatch.setattr(workflows, "CANCEL_SECONDS", 0.3)
    theeye.fault("workflow_cancel", Reply(400, "cannot cancel job"))
    theeye.fault("cancel", Reply(204, None))
    assert delete(client, run).status_code == 202, "its tasks go on"
    theeye.heal()
    assert delete(client, run).status_code == 204
    assert ask(client, "GET", f"{WORKFLOW_JOB}/{run}").headers["X-Job-State"] == "canceled"


@pytest.mark.parametrize(
    ("query", "sent", "body", "passed"),
    [
        ("", "", b"", b"{}"),
        ("?parse&customer=beta&customer[]=beta&color=red", "&color=red", RUN, RUN),
        ("", "", f'{{"task":"{SECOND}","lifecycle":"onhold"}}'.encode(), f'{{"task":"{SECOND}"}}'.encode()),
    ],
)
def test_what_is_passed_on(
    query: str, sent: str, body: bytes, passed: bytes, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.workflow()
    assert post(client, WORKFLOW_JOB + query, body).status_code == 200
    [call] = theeye.calls_of("workflow_create")
    assert (call.target, call.body) == (f"/workflows/{WORKFLOW}/job?customer=acme{sent}", passed)


def test_another_organisations_workflow_is_not_run(client: FlaskClient, theeye: StandIn) -> None:
    theeye.workflow(owner=BETA)
    assert error_of(post(client, WORKFLOW_JOB), 404, "ENOTFOUND")["message"] == "Workflow not found"
    del theeye.tokens["tok-acme"]
    assert post(client, WORKFLOW_JOB).status_code == 401, "the session is remembered, and TheEye refuses the token"
    theeye.tokens["tok-acme"] = ACME
    theeye.workflow()
    theeye.fault("workflow", Reply(200, {"id": WORKFLOW, "customer_id": BETA.customer_id}), times=1)
    assert error_of(post(client, WORKFLOW_JOB), 404, "ENOTFOUND")["message"] == "Workflow not found"
    theeye.fault("workflow", Reply(200, {"id": TASK, "graph": {}}), times=1)
    assert "did not show the workflow" in error_of(post(client, WORKFLOW_JOB), 502, "ESUPERVISOR")["message"]
    assert not theeye.jobs


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", f'{{"task":"{TASK}"}}'.encode()),
        (f"?task={TASK}", f'{{"task":"{SECOND}"}}'.encode()),
        (f"?[task]={TASK.upper()}", b""),
    ],
)
def test_it_does_not_begin_with_another_organisations_task(
    query: str, body: bytes, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.workflow()
    theeye.task(TASK, owner=BETA)
    assert post(client, WORKFLOW_JOB + query, body).status_code == 404
    assert not theeye.calls_of("workflow_create")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_only_a_job_of_this_workflow_and_customer_is_shown(method: str, client: FlaskClient, theeye: StandIn) -> None:
    theeye.workflow()
    theeye.workflow(TASK[:-1] + "0", tasks=[THIRD])
    run, of_task = post(client, WORKFLOW_JOB).headers["X-Job-Id"], post(client).headers["X-Job-Id"]
    step = theeye.steps(run)[1]["id"]
    other = WORKFLOW_JOB.replace(WORKFLOW, TASK[:-1] + "0")
    targets = [f"{other}/{run}", f"{WORKFLOW_JOB}/{step}", f"{WORKFLOW_JOB}/{of_task}"]
    targets += [f"{JOB}/{run}", f"{JOB.replace(TASK, FIRST)}/{run}", f"{WORKFLOW_JOB}/{'0' * 24}"]
    for target in targets:
        error_of(ask(client, method, target), 404, "ENOTFOUND")
    other_ids: list[dict[str, Any]] = [{"workflow_id": "0" * 24}, {"workflow_job_id": "0" * 24}]
    for change in ({"customer_id": BETA.customer_id}, {"workflow_job_id": None}, *other_ids):
        before = theeye.jobs[step]
        theeye.change(step, **change)
        error_of(ask(client, method, f"{WORKFLOW_JOB}/{run}"), 404, "ENOTFOUND")
        theeye.change(step, **{name: before.get(name) for name in change})
    assert not theeye.calls_of("workflow_cancel")


@pytest.mark.parametrize(("nonsense", "version"), [({}, 2), ("x", 2), ([1], 2), (None, 2), ([], None)])
def test_a_list_that_is_none_is_read_again(
    nonsense: Any, version: int | None, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.workflow(version=version)
    theeye.fault("workflow_jobs", Reply(200, nonsense), times=2)
    theeye.fault("workflow_jobs", Reply(500, {"message": "oops"}), times=1)
    assert post(client, WORKFLOW_JOB).get_json() == OUTPUT[SECOND]


@pytest.mark.parametrize("version", [2, None])
@pytest.mark.parametrize("shown", [0, 1])
def test_a_list_that_lacks_the_last_job_is_told(shown: int, version: Any, client: FlaskClient, theeye: StandIn) -> None:
    """TheEye lists only the jobs whose acl names a caller below admin."""
    theeye.workflow(version=version)
    run = post(client, WORKFLOW_JOB).headers["X-Job-Id"]
    theeye.fault("workflow_jobs", Reply(200, theeye.steps(run)[:shown]))
    got = ask(client, "GET", f"{WORKFLOW_JOB}/{run}")
    if version is None and shown:
        assert got.get_json() == OUTPUT[FIRST], "long ago, as TheEye's date says"
        return
    assert "shuts the caller out" in error_of(got, 502, "EJOBGONE")["message"]
    assert got.get_json()["job"]["id"] == run


def test_an_end_that_theeye_sets_too_early(app: Flask, theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a first task that ends at once: TheEye ends the workflow's job before it starts the next task."""
    monkeypatch.setattr(workflow_end, "SETTLE_SECONDS", 60)
    theeye.workflow(by_hand=True)
    with waiting(app, theeye, 1) as ([run, _], answer):
        theeye.finish(run)
        looks = len(theeye.calls_of("workflow_jobs"))
        theeye.wait_for_calls("workflow_jobs", looks + 2)
        assert not answer.done()
        theeye.follow(SECOND)
        assert answer.result(20).get_json() == OUTPUT[SECOND]
    monkeypatch.setattr(workflow_end, "SETTLE_SECONDS", 0.2)
    with waiting(app, theeye, 1) as ([run, _], answer):
        theeye.finish(run)
        assert "shuts the caller out" in error_of(answer.result(20), 502, "EJOBGONE")["message"]
    theeye.workflow(edges=[])
    assert post(app.test_client(), WORKFLOW_JOB).get_json() == OUTPUT[FIRST], "the graph was changed"


@pytest.mark.parametrize("read", [True, False])
def test_the_last_job_is_read_before_it_is_pushed_out(
    read: bool, app: Flask, services: Services, theeye: StandIn
) -> None:
    hold(theeye, SECOND)
    theeye.workflow(by_hand=True)
    with waiting(app, theeye, 1) as ([run, _], answer):
        second = theeye.follow(SECOND)
        wait_until(lambda: services.waiter._notifications.is_watched(second), 20, "a look that shows it")
        if read:
            theeye.finish(second)
            looks = len(theeye.calls_of("workflow_jobs"))
            theeye.wait_for_calls("workflow_jobs", looks + 2)
        theeye.forget(second)
        theeye.finish(run)
        got = answer.result(20)
    if read:
        assert (got.status_code, got.get_json()) == (200, OUTPUT[SECOND])
    else:
        assert "newer jobs of its task or workflow" in error_of(got, 502, "EJOBGONE")["message"]


def test_a_cancel_cancels_every_branch(app: Flask, client: FlaskClient, theeye: StandIn) -> None:
    hold(theeye, SECOND, THIRD)
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=FORK)
    with waiting(app, theeye, 3) as ([run, *_], answer):
        got = delete(client, run)
        assert (got.status_code, states(theeye, run)) == (204, ["finished", "canceled", "canceled"])
        assert answer.result(20).status_code == 500
    error_of(delete(client, run), 409, "EJOBENDED")


@pytest.mark.parametrize("state", ["success", "canceled"])
def test_a_branch_that_goes_on_while_it_is_cancelled(
    state: str, app: Flask, client: FlaskClient, theeye: StandIn
) -> None:
    """TheEye starts the task after a step that ends, cancelled or not, and may report the workflow as a success."""
    hold(theeye, FIRST, SECOND)
    theeye.workflow(by_hand=True)

    class GoesOn:
        def play(self, exchange: Exchange) -> bool:
            run = theeye.wait_for_jobs(1)[0]
            theeye.finish(theeye.steps(run)[0]["id"])
            theeye.follow(SECOND)
            theeye.change(run, lifecycle="finished", state=state)
            return exchange.reply(Answer(400, b'"cannot cancel job"'))

    theeye.fault("workflow_cancel", GoesOn(), times=1)
    with waiting(app, theeye, 1) as ([run, _], answer):
        assert delete(client, run).status_code == 204
        assert states(theeye, run) == ["finished", "canceled"]
        assert answer.result(20).status_code == (200 if state == "success" else 500)


def test_a_branch_that_cannot_be_cancelled_is_told(
    app: Flask, client: FlaskClient, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.jobs.CANCEL_SECONDS", 0.2)
    monkeypatch.setattr(workflows, "CANCEL_SECONDS", 0.5)
    hold(theeye, SECOND, THIRD)
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=FORK)
    with waiting(app, theeye, 3) as ([run, *_], answer):
        error_of(delete(client, run, "tok-acme"), 403, "")
        theeye.fault("cancel", Reply(403, {"statusCode": 403, "message": "Job is not cancellable"}), times=1)
        refused = delete(client, run)
        assert error_of(refused, 403, "")["job"]["id"] == run
        theeye.fault("cancel", Reply(500, {"message": "oops"}))
        assert error_of(delete(client, run), 502, "ESUPERVISOR")["job"]["id"] == run
        theeye.heal()
        theeye.fault("cancel", Reply(204, None))
        late = delete(client, run)
        assert (late.status_code, late.headers["Location"]) == (202, f"{WORKFLOW_JOB}/{run}")
        assert not answer.done(), "a workflow has not ended while a branch of it runs"
        theeye.heal()
        assert delete(client, run).status_code == 204
        answer.result(20)


def test_a_cancel_whose_effect_is_not_shown(
    client: FlaskClient, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.jobs.CANCEL_SECONDS", 0.2)
    monkeypatch.setattr(workflows, "CANCEL_SECONDS", 0.3)
    hold(theeye, FIRST)
    theeye.workflow()
    run = post(client, WORKFLOW_JOB, Prefer="respond-async").headers["X-Job-Id"]

    class ThenSilent:
        def play(self, exchange: Exchange) -> bool:
            theeye.fault("workflow_jobs", Silence())
            return exchange.reply(Answer())

    theeye.fault("workflow_cancel", ThenSilent())
    assert delete(client, run).status_code == 202


def test_a_job_with_too_large_steps_can_be_cancelled(make_app: Callable[..., Flask], theeye: StandIn) -> None:
    """As a cycle that has run for long."""
    client = make_app(max_job=9999).test_client()
    hold(theeye, FIRST)
    theeye.workflow()
    run = post(client, WORKFLOW_JOB, Prefer="respond-async").headers["X-Job-Id"]
    theeye.fault("workflow_jobs", Reply(200, b" " * 10_000))
    error_of(ask(client, "GET", f"{WORKFLOW_JOB}/{run}"), 502, "EJOBTOOLARGE")
    assert (delete(client, run).status_code, states(theeye, run)) == (204, ["canceled"])
    error_of(delete(client, run), 409, "EJOBENDED")


def test_a_client_that_has_gone_cancels_every_branch(services: Services, client: FlaskClient, theeye: StandIn) -> None:
    hold(theeye, SECOND, THIRD)
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=FORK)
    run = post(client, WORKFLOW_JOB, Prefer="respond-async").headers["X-Job-Id"]
    theeye.wait_for_steps(run, 3)  # they start after the create's answer
    caller = Caller("acme", "tok-admin", runs=Runnable(KIND, WORKFLOW), customer_id=ACME.customer_id)
    services.cancellations.later(caller, run)
    services.cancellations.all_now()
    assert states(theeye, run) == ["finished", "canceled", "canceled"]


def test_each_task_is_told_as_it_starts_and_ends(app: Flask, theeye: StandIn) -> None:
    hold(theeye, FIRST, SECOND)
    theeye.workflow()
    told = []
    with stream(app, WORKFLOW_JOB) as (got, events):
        run = got.headers["X-Job-Id"]
        assert next(events).data == {"id": run, "location": f"{WORKFLOW_JOB}/{run}"}
        assert next(events).data == {"lifecycle": "ready"}
        for event in events:
            told.append(event)
            task = event.data.get("task", {})
            if task.get("lifecycle") == "ready":
                theeye.finish(task["job"])
    *_, own, answer = told
    steps = [event for event in told if "task" in event.data]
    assert [(event.data["task"]["name"], event.data["task"]["lifecycle"]) for event in steps] == [
        *(("Step 1", "ready"), ("Step 1", "finished"), ("Step 2", "ready"), ("Step 2", "finished"))
    ]
    first = theeye.steps(run)[0]
    assert steps[1].id == f"{run}:{first['id']}:finished"
    assert steps[1].data["task"] == {
        **{"id": FIRST, "name": "Step 1", "job": first["id"], "lifecycle": "finished", "state": "success"}
    }
    assert (own.data, answer.data["body"]) == ({"lifecycle": "finished"}, '["{\\"step\\":2}"]')


@pytest.mark.parametrize("query", ["?wait=0", "?wait=0.2"])
def test_what_has_not_ended_is_fetched_later(query: str, client: FlaskClient, theeye: StandIn) -> None:
    hold(theeye, SECOND)
    theeye.workflow()
    got = post(client, f"{WORKFLOW_JOB}{query}&parse")
    run = error_of(got, 504, "ETIMEISUP")["job"]["id"]
    assert got.headers["Location"] == f"{WORKFLOW_JOB}/{run}?parse"
    assert ask(client, "GET", f"{WORKFLOW_JOB}/{run}{query}").status_code == 202
    theeye.finish(theeye.wait_for_steps(run, 2)[1]["id"])
    assert ask(client, "GET", got.headers["Location"]).get_json() == {"step": 2}


def test_keys_of_tasks_and_workflows_differ(
    make_app: Callable[..., Flask], theeye: StandIn, redis_server: Redis
) -> None:
    client = make_app(redis_url=redis_server.url).test_client()
    theeye.workflow(TASK)
    task, workflow = f"/acme/task/{TASK}/job", WORKFLOW_JOB.replace(WORKFLOW, TASK)
    for path, same in ((task, task), (workflow, WORKFLOW_JOB.replace(WORKFLOW, TASK.upper()))):
        first = post(client, path, Idempotency_Key="both")
        assert (first.status_code, first.headers.get("Idempotency-Replayed")) == (200, None)
        again = post(client, same, Idempotency_Key="both")
        assert (again.headers["Idempotency-Replayed"], again.data) == ("true", first.data)
    error_of(post(client, WORKFLOW_JOB, Idempotency_Key="both"), 422, "EKEYREUSED")
    assert len(theeye.calls_of("workflow_create")) == 1


def test_the_guard_counts_the_workflows_own_limit(client: FlaskClient, services: Services, theeye: StandIn) -> None:
    theeye.task(FIRST, history=2)
    theeye.workflow(history=7)
    assert post(client, WORKFLOW_JOB).status_code == 200
    assert services.runs._guard.limits._known == {f"{ACME.customer_id}:workflow/{WORKFLOW}": 7}


def test_errors_say_workflow(client: FlaskClient, theeye: StandIn) -> None:
    theeye.workflow(history=1)
    hold(theeye, SECOND)
    with waiting(client.application, theeye, 2) as ([*_, second], answer):
        error = error_of(post(client, f"{WORKFLOW_JOB}?wait=0"), 503, "EHISTORY")
        assert error["message"].startswith("The workflow keeps too few jobs")
        theeye.finish(second)
        assert answer.result(20).status_code == 200
