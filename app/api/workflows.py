"""List the workflows that TheEye shows to the caller's token, in the form that the console draws."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import request

from app.api.admission import Consequences, admit
from app.api.responses import Response, json_response
from app.api.tasks import MAX_LISTED, limit_of, shown_arguments
from app.theeye.graph import Graph

Document = Mapping[str, Any]


def list_workflows(customer: str) -> Response:
    """Answer with the workflows that the token may see: id, name, arguments, tasks, and the edges between them."""
    wanted, _ = admit(request.environ, customer)
    with Consequences(wanted):
        limit = limit_of(wanted.query.first.get("limit"))
        supervisor = wanted.services.supervisor
        found = supervisor.workflows(wanted.caller, limit)
        tasks = _by_id(supervisor.tasks(wanted.caller, MAX_LISTED)) if found else {}
    return json_response(200, [_workflow(each, tasks) for each in found if isinstance(each, dict)][:limit])


def _by_id(documents: Sequence[Any]) -> dict[str, Document]:
    return {str(document.get("id")): document for document in documents if isinstance(document, dict)}


def _workflow(workflow: Document, tasks: Mapping[str, Document]) -> dict[str, Any]:
    """Return a workflow; its arguments are those of its first task."""
    graph, first = Graph(workflow), str(workflow.get("start_task_id") or workflow.get("first_task_id"))
    nodes = sorted(graph.tasks, key=lambda task: task != first)  # the first task first, the others in TheEye's order
    return {
        "id": workflow.get("id"),
        "name": workflow.get("name"),
        "task_arguments": shown_arguments(tasks.get(first, {})),
        "tasks": [{"id": task, "name": tasks.get(task, {}).get("name")} for task in nodes],
        "edges": [{"from": before, "event": event, "to": after} for before, event, after in graph.edges],
    }
