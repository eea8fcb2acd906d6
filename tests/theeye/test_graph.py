"""What follows what in a workflow, by a graph in any of the forms that TheEye has had."""

from typing import Any

import pytest

from app.theeye.graph import Graph
from app.theeye.steps import Step

SUCCESS, FAILURE = (Step("1", "A", "first", "finished", state, state) for state in ("success", "failure"))


def edges(**fields: str) -> dict[str, Any]:
    return {"edges": [{"v": "A", "w": "B", **fields}]}


@pytest.mark.parametrize(
    ("workflow", "after_success", "after_failure"),
    [
        ({"version": 2, "graph": edges(value="success")}, "surely", "nothing"),
        ({"version": 2, "graph": edges(trigger_name="success")}, "surely", "nothing"),
        ({"version": 2, "graph": edges(name="failure")}, "nothing", "surely"),
        ({"version": 2, "graph": edges()}, "perhaps", "perhaps"),
        ({"version": 2}, "nothing", "nothing"),
        ({"version": 2, "graph": {"edges": [None, 5], "nodes": "x"}}, "nothing", "nothing"),
        ({"graph": {"nodes": [{"v": "E", "value": {"_type": "TaskEvent", "name": "success"}}],
                    "edges": [{"v": "A", "w": "E"}, {"v": "E", "w": "B"}]}}, "surely", "nothing"),
        ({"graph": []}, "perhaps", "perhaps"),
        ({}, "perhaps", "perhaps"),
    ],
)  # fmt: skip
def test_what_follows_the_first_task(workflow: dict[str, Any], after_success: str, after_failure: str) -> None:
    graph = Graph(workflow)

    def follows(ended: Step) -> str:
        return "surely" if graph.awaits([ended], surely=True) else "perhaps" if graph.awaits([ended]) else "nothing"

    assert (follows(SUCCESS), follows(FAILURE)) == (after_success, after_failure)
