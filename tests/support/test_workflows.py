"""Test the stand-in's workflows: without these properties other tests would prove nothing."""

from typing import Any

import pytest

from support.caller import Caller, listening
from support.processes import Redis
from support.theeye import ACME, BETA, StandIn
from support.workflows import FIRST, SECOND, THIRD, WORKFLOW

RUNS = f"/workflows/{WORKFLOW}/job"
FORK = [(FIRST, "success", SECOND), (FIRST, "success", THIRD)]


def run(caller: Caller, **options: Any) -> str:
    """Start a workflow, and return the id of its own job."""
    answer = caller.call("POST", f"{RUNS}?customer=acme", **({"json": {"task_arguments": [1]}} | options))
    assert answer.json()["_type"] == "WorkflowJob"
    return str(answer.json()["id"])


def ways(theeye: StandIn, run_id: str) -> list[tuple[str, str]]:
    return [(job["name"], job["state"]) for job in theeye.steps(run_id)]


def test_one_job_follows_the_other_with_its_output(theeye: StandIn, caller: Caller) -> None:
    theeye.task(FIRST, delay=None, name="Step 1")
    theeye.workflow()
    run_id = run(caller)
    assert (caller.lifecycle(run_id), ways(theeye, run_id)) == ("ready", [("Step 1", "in_progress")])
    theeye.finish(output=["a", "b"])
    assert ways(theeye, run_id) == [("Step 1", "success"), ("Step 2", "success")]
    listed = caller.get(f"{RUNS}/{run_id}/jobs?customer=acme").json()
    assert (listed[1]["workflow_job_id"], listed[1]["task_arguments_values"]) == (run_id, ["a", "b"])
    shown = caller.get(f"{RUNS}/{run_id}?customer=acme").json()
    assert (shown["lifecycle"], shown["state"], shown["output"]) == ("finished", "success", [])
    assert shown == caller.read(run_id).json()


@pytest.mark.parametrize(
    ("edges", "names"),
    [(None, ["Step 1"]), ([(FIRST, "failure", THIRD)], ["Step 1", "Step 3"]), ([(FIRST, "other", THIRD)], ["Step 1"])],
)
def test_a_failure_follows_its_own_edge(
    theeye: StandIn, caller: Caller, edges: list[Any] | None, names: list[str]
) -> None:
    theeye.task(FIRST, state="failure", name="Step 1")
    theeye.task(THIRD, state="failure", name="Step 3")
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=edges)
    run_id = run(caller)
    theeye.wait_for_ended(1 + len(names))
    assert (theeye.jobs[run_id]["state"], [name for name, _ in ways(theeye, run_id)]) == ("failure", names)


@pytest.mark.parametrize("version", [2, 1, None])
def test_the_last_branch_ends_a_fork_unless_it_is_of_the_first_version(
    theeye: StandIn, caller: Caller, version: int | None
) -> None:
    for task_id in (SECOND, THIRD):
        theeye.task(task_id, delay=None)
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=FORK, version=version)
    run_id = run(caller)
    _, second, third = (job["id"] for job in theeye.wait_for_steps(run_id, 3))
    theeye.finish(third)
    assert caller.lifecycle(run_id) == "ready"
    theeye.finish(second, state="failure")
    assert theeye.jobs[run_id]["state"] == ("failure" if version == 2 else "in_progress")
    nodes = theeye_graph(caller)["nodes"]
    assert len(nodes) == (3 if version == 2 else 4), "an event is a node of its own in the first version"


def theeye_graph(caller: Caller) -> Any:
    return caller.get(f"/workflows/{WORKFLOW}?customer=acme").json()["graph"]


def test_a_run_by_hand(theeye: StandIn, caller: Caller) -> None:
    theeye.workflow(by_hand=True)
    run_id = run(caller)
    assert [job["name"] for job in theeye.steps(run_id)] == ["Step 1"]
    second = theeye.follow(SECOND)
    assert caller.lifecycle(run_id) == "ready"
    theeye.forget(second)
    theeye.finish(run_id, state="canceled", lifecycle="terminated")
    assert (caller.lifecycle(run_id), len(theeye.steps(run_id))) == ("terminated", 1)


def test_cancel_reaches_the_newest_only(theeye: StandIn, caller: Caller) -> None:
    for task_id in (SECOND, THIRD):
        theeye.task(task_id, delay=None)
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=FORK)
    run_id = run(caller)
    _, second, third = (job["id"] for job in theeye.wait_for_steps(run_id, 3))
    path = f"{RUNS}/{run_id}/cancel?customer=acme"
    assert caller.call("PUT", path).status_code == 403
    admin = {"Authorization": "Bearer tok-admin"}
    assert caller.call("PUT", path, headers=admin).status_code == 200
    assert (caller.lifecycle(second), caller.lifecycle(third)) == ("ready", "canceled")
    assert caller.call("PUT", path, headers=admin).status_code == 400
    theeye.finish(second)
    assert theeye.jobs[run_id]["state"] == "success", "although one branch was canceled"


def test_history_counts_runs(theeye: StandIn, caller: Caller) -> None:
    theeye.workflow(tasks=[FIRST], history=2)
    runs = [run(caller) for _ in range(2)]
    theeye.task(FIRST, delay=None)
    runs.append(run(caller))
    assert [run_id in theeye.jobs for run_id in runs] == [False, True, True]
    assert len(theeye.jobs) == 4


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/workflows/{WORKFLOW}?customer=beta", 401),
        ("GET", f"/workflows/{FIRST}?customer=acme", 404),
        ("GET", "/workflows/zz?customer=acme", 400),
        ("POST", f"/workflows/{THIRD}/job?customer=acme", 401),
        ("POST", f"{RUNS}?customer=acme&task={THIRD}", 404),
        ("GET", f"{RUNS}/{THIRD}?customer=acme", 404),
    ],
)
def test_refusals(theeye: StandIn, caller: Caller, method: str, path: str, status: int) -> None:
    theeye.workflow()
    theeye.workflow(THIRD, owner=BETA)
    assert caller.call(method, path).status_code == status
    assert theeye.jobs == {}
    assert [each["id"] for each in caller.get("/workflows?customer=acme").json()] == [WORKFLOW]


def test_notifications(theeye_redis: StandIn, redis_server: Redis) -> None:
    theeye_redis.workflow()
    with Caller(theeye_redis) as caller, listening(redis_server, f"{ACME.customer_id}:*") as get:
        run_id = run(caller)
        channels = []
        while "workflow-job-finished" not in "".join(channels[-1:]):
            message = get()
            assert message
            channels.append(message["channel"].decode().split(":", 1)[1])
    first, second = (job["id"] for job in theeye_redis.steps(run_id))
    assert channels == [
        f"workflow-job-crud:{run_id}",
        f"job-finished:{first}",
        f"job-finished:{second}",
        f"workflow-job-crud:{run_id}",
        f"workflow-job-finished:{run_id}",
    ]
