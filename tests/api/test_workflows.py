"""Test the list of a customer's workflows, in the form that the console draws."""

import pytest
from flask.testing import FlaskClient
from support.client import ask, error_of
from support.theeye import Reply, StandIn
from support.workflows import FIRST, SECOND, WORKFLOW

LIST = "/acme/workflow"


@pytest.mark.parametrize("version", [2, 1])
def test_tasks_and_edges(version: int, client: FlaskClient, theeye: StandIn) -> None:
    """This includes a workflow of the first version, whose events are nodes."""
    edges = [(FIRST, "success", SECOND), (FIRST, "failure", FIRST)]
    theeye.workflow(tasks=[SECOND, FIRST], edges=edges, version=version, start_task_id=FIRST)
    got = ask(client, "GET", LIST)
    assert got.get_json() == [
        {
            "id": WORKFLOW,
            "name": "Two steps",
            "task_arguments": [],
            "tasks": [{"id": FIRST, "name": "Step 2"}, {"id": SECOND, "name": "Step 1"}],
            "edges": [{"from": before, "event": event, "to": after} for before, event, after in edges],
        }
    ]
    assert got.headers["Cache-Control"] == "no-store"
    assert theeye.calls_of("workflows")[0].target == "/workflows?customer=acme&limit=1000"
    assert ask(client, "GET", f"{LIST}?limit=1").status_code == 200
    error_of(ask(client, "GET", f"{LIST}?limit=0"), 400, "EINVALID")


def test_a_workflow_that_is_hardly_one(client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("workflows", Reply(200, ["x", {"id": "a", "graph": {"nodes": 5, "edges": [3]}}]))
    [found] = ask(client, "GET", LIST).get_json()
    assert found == {"id": "a", "name": None, "task_arguments": [], "tasks": [], "edges": []}
    theeye.fault("tasks", Reply(403, {"message": "no"}))
    error_of(ask(client, "GET", LIST), 403, "")


@pytest.mark.parametrize(
    ("reply", "status", "code"), [(Reply(403, {"message": "no"}), 403, ""), (Reply(200, {}), 502, "ESUPERVISOR")]
)
def test_what_theeye_refuses(reply: Reply, status: int, code: str, client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("workflows", reply)
    error_of(ask(client, "GET", LIST), status, code)
    assert theeye.calls_of("tasks") == []


@pytest.mark.parametrize(
    ("query", "all_tasks", "shown", "limits"),
    [
        ("", "sat", "at", [1000]),
        ("?limit=2", "satb", "at", [2, 1000]),
        ("?limit=3", "sats", "at", [3, 1000]),
        ("?limit=2", "ats", "at", [2]),
        ("?limit=2", "s", "", [2]),
        ("?limit=1000", "s" * 1000 + "a", "", [1000]),
    ],
)
def test_a_step_is_not_among_the_tasks(
    query: str, all_tasks: str, shown: str, limits: list[int], client: FlaskClient, theeye: StandIn
) -> None:
    """TheEye ends each job of such a task that no workflow has started, and counts it among those of a limit."""
    tasks = [{"id": name, "workflow_id": WORKFLOW if name == "s" else None} for name in all_tasks]
    for limit in limits:
        theeye.fault("tasks", Reply(200, tasks[:limit]), times=1)
    assert [task["id"] for task in ask(client, "GET", f"/acme/task{query}").get_json()] == list(shown)
    assert [call.target for call in theeye.calls_of("tasks")] == [f"/acme/task?limit={limit}" for limit in limits]
