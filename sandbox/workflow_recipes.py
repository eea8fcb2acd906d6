"""Read the recipes of workflows, in the form in which TheEye serializes them (its `/workflows/{id}/serialize`).

{"name": "…", "start_task_id": "a", "tasks": [{"id": "a", …, "script": {"filename": "…", "data": "data:…"}}, …],
 "graph": {"nodes": [{"v": "a", "value": {…}}, …], "edges": [{"v": "a", "w": "b", "value": "success"}]}}
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.identity import CUSTOMER, CUSTOMER_ID, EMAIL, USER_ID
from sandbox.recipes import ID, BrokenRecipe, Runnable, Task, derived_id, task_of


@dataclass(frozen=True)
class Edge:
    """Hold which task follows another, for one event (the `trigger_name` of the ended job)."""

    before: str
    event: str
    after: str


@dataclass(frozen=True)
class Workflow(Runnable):
    """Hold a workflow: its tasks by id, and the edges between them."""

    tasks: dict[str, Task]
    edges: tuple[Edge, ...]

    @property
    def first(self) -> Task:
        """Return the task that a run starts with."""
        return self.tasks[self.document["start_task_id"]]

    def followers(self, task_id: str, event: str) -> list[Task]:
        """Return the tasks that follow a task's job, for the event of its end."""
        return [self.tasks[edge.after] for edge in self.edges if (edge.before, edge.event) == (task_id, event)]


def workflow_of(recipe: dict[str, Any], folder: Path) -> Workflow:
    """Return the workflow of a recipe. Raise BrokenRecipe or OSError."""
    name = recipe.get("name")
    if not isinstance(name, str) or not name:
        raise BrokenRecipe("the workflow's name is missing")
    identifier = _id(recipe.get("id") or derived_id(name), name)
    tasks = [_task(task, name, identifier, folder) for task in _objects(recipe, "tasks")]
    if not tasks:
        raise BrokenRecipe("the workflow has no tasks")
    known = {task.id: task for task in tasks}
    edges = _edges(recipe["graph"], name, known)
    start = _id(recipe.get("start_task_id") or tasks[0].id, name)
    if start not in known:
        raise BrokenRecipe(f"start_task_id {recipe['start_task_id']!r} is none of its tasks")
    return Workflow(_document(recipe, identifier, start, known, edges), known, edges)


def _document(
    recipe: dict[str, Any], identifier: str, start: str, tasks: dict[str, Task], edges: tuple[Edge, ...]
) -> dict[str, Any]:
    """Return the workflow's document in TheEye's form, without the documents of its tasks."""
    graph = {
        "options": {"directed": True, "multigraph": False, "compound": False},
        "nodes": [_node(task) for task in tasks.values()],
        "edges": [{"v": edge.before, "w": edge.after, "value": edge.event} for edge in edges],
    }
    shown = {name: value for name, value in recipe.items() if name not in ("tasks", "events", "_id")}
    return {
        **shown,
        "id": identifier,
        "_type": "Workflow",
        "version": 2,
        "graph": graph,
        "start_task_id": start,
        "first_task_id": start,
        "acl": [EMAIL],
        "user_id": USER_ID,
        "customer_id": CUSTOMER_ID,
        "customer_name": CUSTOMER,
    }


def _node(task: Task) -> dict[str, Any]:
    kind = "DummyTask" if task.is_dummy else "ScriptTask"
    return {"v": task.id, "value": {"id": task.id, "_type": kind, "name": task.name}}


def _task(task: dict[str, Any], workflow_name: str, workflow_id: str, folder: Path) -> Task:
    if not isinstance(task.get("id"), str):
        raise BrokenRecipe("a task of the workflow has no id")
    script = {name: value for name, value in task.items() if name != "script"}
    own = {"id": _id(task["id"], workflow_name), "source_model_id": None, "workflow_id": workflow_id}
    return task_of({"task": script | own, "file": task.get("script")}, folder)


def _edges(graph: Any, name: str, tasks: dict[str, Task]) -> tuple[Edge, ...]:
    if not isinstance(graph, dict):
        raise BrokenRecipe("graph must be an object with nodes and edges")
    edges = [
        Edge(_id(edge.get("v"), name), edge.get("value", ""), _id(edge.get("w"), name))
        for edge in _objects(graph, "edges")
    ]
    # an edge that begins at no task begins at another trigger of the workflow: a webhook or a monitor
    edges = [edge for edge in edges if edge.before in tasks]
    for edge in edges:
        if edge.after not in tasks:
            raise BrokenRecipe("an edge leads to none of its tasks, as in TheEye's first version of workflows")
        if not isinstance(edge.event, str) or not edge.event:
            raise BrokenRecipe('an edge has no event: its "value" is success, failure, or a word of the script\'s own')
    return tuple(edges)


def _id(given: Any, workflow_name: str) -> str:
    """Return an id in TheEye's form; exported workflows have UUIDs instead."""
    text = str(given).lower()
    return text if ID.fullmatch(text) else derived_id(f"{workflow_name}/{text}")


def _objects(recipe: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = recipe.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BrokenRecipe(f"{key} must be an array of objects")
    return value
