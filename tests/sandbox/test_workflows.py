"""Test the sandbox's workflows: recipes, runs over HTTP, restarts and notifications."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.caller import listening
from support.processes import Redis
from support.sandbox import (
    BRANCHES,
    IN_PROGRESS,
    MINE,
    NOBODY,
    SHIPPING,
    TOTAL,
    Client,
    eventually,
    script,
    step,
    workflow_recipe,
)

from sandbox import CUSTOMER_ID, Sandbox
from sandbox.loading import BUILT_IN, load_recipe, load_recipes
from sandbox.recipes import BrokenRecipe

SLEEP = "sleep 60"
Start = Callable[..., Client]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    return tmp_path / "recipes"


@pytest.fixture
def start(tmp_path: Path, folder: Path) -> Iterator[Start]:
    """Start a sandbox with the recipes written so far; a second call is a restart."""
    with ExitStack() as stack:

        def start(redis_url: str = "") -> Client:
            stack.close()
            box = Sandbox(database=tmp_path / "theeye.sqlite3", tasks=[folder], redis_url=redis_url)
            return stack.enter_context(Client(stack.enter_context(box).url))

        yield start


def begin(client: Client, workflow: str = MINE, *arguments: Any, **more: Any) -> str:
    body = {"task_arguments": arguments, **more}
    answer = client.call("POST", f"/workflows/{workflow}/job?customer=acme", json=body)
    assert (answer.status_code, answer.json()["_type"]) == (200, "WorkflowJob"), answer.text
    return str(answer.json()["id"])


def steps(client: Client, run: str, workflow: str = MINE) -> list[Any]:
    return list(client.get(f"/workflows/{workflow}/job/{run}/jobs?customer=acme").json())


def named(client: Client, run: str) -> list[tuple[str, str]]:
    return [(job["name"], job["state"]) for job in steps(client, run)]


@pytest.mark.parametrize(
    ("workflow", "order", "state", "outputs"),
    [
        (TOTAL, 7, "success", [2, {"order": 7, "total": 104}]),
        (BRANCHES, 7, "success", [2, {"order": 7, "total": 104}, {"order": 7, "reserved": 2}]),
        (SHIPPING, 100, "success", [2, 2, {"order": 100, "shipped": True}]),
        (SHIPPING, 101, "failure", [2, {"statusCode": 409, "message": "order 101: not in stock"}]),
    ],
)
def test_our_workflows(start: Start, workflow: str, order: int, state: str, outputs: list[Any]) -> None:
    client = start()
    run = begin(client, workflow, order)
    ended = client.ended(run)
    assert (ended["lifecycle"], ended["state"], ended["trigger_name"], ended["output"]) == (
        "finished",
        state,
        state,
        [],
    )
    assert ended == client.get(f"/workflows/{workflow}/job/{run}?customer=acme").json()
    jobs = steps(client, run, workflow)
    found = [len(job["output"]) if len(job["output"]) > 1 else json.loads(job["output"][0]) for job in jobs]
    assert found == outputs
    assert all(job["task_arguments_values"] == jobs[0]["output"] for job in jobs[1:])


def test_an_event_of_the_scripts_own_and_a_failure_choose_the_way(start: Start, folder: Path) -> None:
    own = script("""[ $1 = own ] && echo '{"event_name":"own","data":["a"]}' || echo failure""")
    edges = [("first", "own", "A"), ("first", "failure", "B"), ("first", "success", "C")]
    workflow_recipe(folder, edges, step("first", own), step("A"), step("B"), step("C"))
    client = start()
    for argument, then in (("own", "A"), ("none", "B")):
        run = begin(client, MINE, argument)
        assert client.ended(run)["state"] == "success"
        assert [name for name, _ in named(client, run)] == ["first", then]


def test_a_run_that_starts_in_the_middle(start: Start, folder: Path) -> None:
    workflow_recipe(folder, [("1", "success", "2")], step("1"), step("2"))
    client = start()
    second = client.get(f"/workflows/{MINE}?customer=acme").json()["graph"]["edges"][0]["w"]
    run = begin(client, MINE, "x", task=second)
    assert client.ended(run)["state"] == "success"
    assert [(job["name"], job["output"]) for job in steps(client, run)] == [("2", ["x"])]


def test_arguments_that_the_next_task_does_not_take_leave_the_run_open(start: Start, folder: Path) -> None:
    """As in TheEye: the next job fails at its creation, this is not announced, and the run never ends."""
    two = [{"order": 0, "type": "input"}, {"order": 1, "type": "input"}]
    workflow_recipe(
        folder, [("1", "success", "2")], step("1"), step("2", task_arguments=two, takes_any_arguments=False)
    )
    client = start()
    run = begin(client, MINE, "only one")
    assert eventually(lambda: named(client, run)[1:]) == [("2", "error")]
    assert (steps(client, run)[1]["output"], client.lifecycle(run)) == ("InvalidTaskArguments", "ready")
    assert (named(start(), run)[1:], start().lifecycle(run)) == ([("2", "error")], "ready"), "after a restart, too"


def test_cancel_reaches_the_newest_only(start: Start, folder: Path) -> None:
    waits = script("while [ ! -e $1 ]; do sleep 0.05; done")
    workflow_recipe(
        folder, [("0", "success", "1"), ("0", "success", "2")], step("0"), step("1", waits), step("2", waits)
    )
    client = start()
    go = folder / "go"
    run = begin(client, MINE, str(go))
    eventually(lambda: [job["lifecycle"] for job in steps(client, run)[1:]] == ["assigned", "assigned"])
    path = f"/workflows/{MINE}/job/{run}/cancel?customer=acme"
    assert client.call("PUT", path).status_code == 200
    eventually(lambda: named(client, run)[2] == ("2", "canceled"))
    assert (named(client, run)[1], client.job(run)["state"]) == (("1", "in_progress"), "canceled")
    assert client.call("PUT", path).status_code == 400
    go.touch()
    eventually(lambda: client.job(run)["state"] == "success")


def test_the_history_limit_counts_runs(start: Start, folder: Path) -> None:
    workflow_recipe(folder, [("1", "success", "2")], step("1"), step("2"), autoremove_completed_jobs_limit=2)
    client = start()
    jobs = []
    for _ in range(4):
        jobs.append(begin(client))
        client.ended(jobs[-1])
        jobs.append(steps(client, jobs[-1])[1]["id"])
    assert [client.get(f"/acme/job/{job}").status_code for job in jobs] == [404] * 4 + [200] * 4


def test_a_restart_goes_on(start: Start, folder: Path) -> None:
    workflow_recipe(folder, [("1", "canceled", "2")], step("1", script(SLEEP)), step("2"))
    client = start()
    run = begin(client)
    eventually(lambda: steps(client, run)[0]["lifecycle"] == "assigned")
    client = start()
    assert client.ended(run)["state"] == "success"
    assert named(client, run) == [("1", "canceled"), ("2", "success")]


def test_the_notifications(start: Start, folder: Path, redis_server: Redis) -> None:
    workflow_recipe(folder, [("1", "success", "2")], step("1"), step("2"))
    client = start(redis_server.url)
    with listening(redis_server, f"{CUSTOMER_ID}:*") as heard:
        run = begin(client)
        told = [heard() or {} for _ in range(9)]
    first, second = (job["id"] for job in steps(client, run))
    assert [message["channel"].decode().split(":", 1)[1] for message in told] == [
        f"workflow-job-crud:{run}",
        *(f"{topic}:{job}" for job in (first, second) for topic in ("job-crud", "job-crud", "job-finished")),
        f"workflow-job-crud:{run}",
        f"workflow-job-finished:{run}",
    ]
    assert json.loads(told[-1]["data"])["data"]["model_type"] == "WorkflowJob"


def test_refusals(start: Start, folder: Path) -> None:
    workflow_recipe(folder, [], step("1"))
    client = start()
    run, alone = begin(client), client.get("/acme/task").json()[-1]
    for status, method, path in (
        (401, "GET", f"{MINE}?customer=beta"),
        (404, "GET", f"{NOBODY}?customer=acme"),
        (400, "GET", "zz?customer=acme"),
        (404, "POST", f"{MINE}/job?task={NOBODY}"),
        (404, "GET", f"{MINE}/job/{NOBODY}"),
        (400, "GET", f"{TOTAL}/job/{run}"),
        (400, "GET", f"{MINE}/job/{steps(client, run)[0]['id']}/jobs"),
        (400, "POST", f"{TOTAL}/job"),
    ):
        assert client.call(method, f"/workflows/{path}", json=[]).status_code == status, path
    listed = client.get("/workflows?customer=acme").json()
    assert {workflow["id"] for workflow in listed} == {TOTAL, BRANCHES, SHIPPING, MINE}
    assert client.get("/workflows?customer=acme&limit=2").json() == listed[:2]
    job = client.call("POST", f"/acme/task/{alone['id']}/job", json=[]).json()
    assert (alone["workflow_id"] is not None, job["state"], job["output"]) == (True, "error", "missing workflow job")
    assert job["lifecycle"] not in IN_PROGRESS


def test_a_serialized_workflow_has_uuids(folder: Path) -> None:
    """TheEye exports it so, with its triggers."""
    uuid = "0b9a3f6e-8b1c-4a57-9d5e-0c1d2e3f4a5b"
    workflow_recipe(
        folder, [("hook", "success", uuid), (uuid, "success", "B")], step("A", id=uuid), step("B"), start_task_id=uuid
    )
    workflow = load_recipe(folder / "mine.json")
    again = load_recipe(folder / "mine.json")
    assert workflow == again
    assert [task.name for task in workflow.followers(workflow.first.id, "success")] == ["B"]
    assert all(len(identifier) == 24 for identifier in workflow.tasks)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"name": ""}, "name is missing"),
        ({"tasks": []}, "no tasks"),
        ({"tasks": [{"name": "x"}]}, "has no id"),
        ({"tasks": 5}, "tasks must be"),
        ({"graph": []}, "graph must be"),
        ({"graph": {"edges": [{"v": "1", "w": "event", "value": "success"}]}}, "first version"),
        ({"graph": {"edges": [{"v": "1", "w": "1"}]}}, "has no event"),
        ({"start_task_id": "nobody"}, "none of its tasks"),
        ({"tasks": [{"id": "1", "name": "x", "type": "approval"}]}, "not one of"),
    ],
)
def test_a_broken_workflow_says_why(folder: Path, more: dict[str, Any], reason: str) -> None:
    workflow_recipe(folder, [], step("1"), **more)
    with pytest.raises(BrokenRecipe, match=reason):
        load_recipe(folder / "mine.json")


def test_our_workflows_all_load() -> None:
    workflows = load_recipes([BUILT_IN]).workflows
    assert sorted(workflows) == [TOTAL, BRANCHES, SHIPPING]
    assert all(workflow.description for workflow in workflows.values())
