"""Test which task follows which in a workflow, for every form of graph that TheEye has had."""

from typing import Any

import pytest

from app.theeye import graph as module
from app.theeye.callers import Caller, Runnable
from app.theeye.graph import Graph, Graphs
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
        ({"graph": {"edges": [{"from": "A", "to": "B"}]}}, "perhaps", "perhaps"),
        ({}, "perhaps", "perhaps"),
    ],
)  # fmt: skip
def test_what_follows_the_first_task(workflow: dict[str, Any], after_success: str, after_failure: str) -> None:
    graph = Graph(workflow)

    def follows(ended: Step) -> str:
        return "surely" if graph.awaits([ended], surely=True) else "perhaps" if graph.awaits([ended]) else "nothing"

    assert (follows(SUCCESS), follows(FAILURE)) == (after_success, after_failure)


def chain(*chained: str) -> list[dict[str, Any]]:
    """Return edges: `A>B` after success, `A?B` after failure."""
    return [{"v": each[0], "w": each[2], "value": "success" if each[1] == ">" else "failure"} for each in chained]


EVENTS = [
    {"v": "e1", "value": {"_type": "TaskEvent", "name": "success"}},
    {"v": "e2", "value": {"_type": "TaskEvent"}},
    {"v": "A", "value": {"_type": "ScriptTask", "name": "success"}},
]
OF_EVENTS = [{"v": "A", "w": "e1"}, {"v": "e1", "w": "B"}, {"v": "B", "w": "e2"}, {"v": "e2", "w": "C"}]


def steps(text: str) -> list[Step]:
    """Return steps: `A+` ended with success, `A-` with failure, `A.` is running, `A*` was deleted unread."""
    states = {"+": "success", "-": "failure"}
    return [
        Step(str(number), task, task, "finished" if how in states else "ready", None, states.get(how), how == "*")
        for number, (task, how) in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("graph", "awaited", "complete"),
    [
        ({"edges": chain("A>B", "A?C")}, ["A+", "A-", "A+ C."], ["A.", "A+ B.", "A- C+", "A+ B+", "A*", "B+", ""]),
        ({"edges": chain("A>B", "A>C")}, ["A+ B+", "A+ C+ C+"], ["A+ B+ C+", "A-"]),
        ({"edges": chain("A>B", "A>C", "B>D", "C>D")}, ["A+ B+ C+ D+"], ["A+ B+ C+ D+ D+", "A+ B+ C- D+"]),
        ({"edges": chain("A>B", "B>A")}, ["A+ B+", "A+ B+ A+"], ["A+ B+ A.", "A+ B+ A-"]),
        ({"nodes": EVENTS, "edges": OF_EVENTS}, ["A+", "A+ B+", "A+ B-"], ["A-", "A+ B.", "A+ B+ C+"]),
        *(
            (nonsense, [], ["A+", "A+ B+"])
            for nonsense in (None, [], {"edges": None}, {"edges": [1, {}, {"v": []}], "nodes": [{}, "x"]})
        ),
    ],
)
def test_what_the_graph_calls_for(graph: Any, awaited: list[str], complete: list[str]) -> None:
    read = Graph({"version": 2, "graph": graph})
    assert [text for text in awaited if not read.awaits(steps(text))] == []
    assert [text for text in complete if read.awaits(steps(text))] == []


@pytest.mark.parametrize(("text", "awaited"), [("A+ B+ C+ D+", False), ("A+ B+ C+", True)])
def test_an_older_job_of_a_task_may_be_deleted(text: str, awaited: bool) -> None:
    graph = {"edges": chain("A>B", "A>C", "B>D", "C>D")}
    assert Graph({"version": 2, "graph": graph}).awaits(steps(text), surely=True) is awaited


@pytest.mark.parametrize(
    ("graph", "is_chain"),
    [
        ({"edges": chain("A>B", "A?C", "B>A")}, True),
        ({"edges": chain("A>B", "A>C")}, False),
        ({"nodes": EVENTS, "edges": OF_EVENTS}, True),
        ({"edges": edges()["edges"] + chain("A>C")}, False),
        (None, True),
    ],
)
def test_whether_steps_can_run_side_by_side(graph: Any, is_chain: bool) -> None:
    assert Graph({"version": 2, "graph": graph}).is_chain is is_chain


def test_so_many_graphs_are_remembered_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN", 2)
    callers = [Caller("acme", "t", runs=Runnable("workflow", name)) for name in "abc"]
    graphs = Graphs()
    for caller in callers:
        graphs.remember(caller, {"version": 2})
    assert [graphs.get(caller) is None for caller in callers] == [True, False, False]
    monkeypatch.setattr(module, "monotonic", lambda clock=module.monotonic: clock() + module.KNOWN_SECONDS)
    assert graphs.get(callers[2]) is None
