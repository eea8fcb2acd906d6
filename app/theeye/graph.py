"""Read the graph of a workflow: which task follows which, after which event."""

import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any

from app.theeye.callers import Caller
from app.theeye.steps import Step, text_of

KNOWN = 1000  # at most so many graphs are remembered
KNOWN_SECONDS = 90.0  # longer than a workflow is remembered (app/runs/tasks.py), so that a warm run reads no graph

Edge = tuple[str | None, str]  # the event, None if it is unknown, and the next task


class Graph:
    """Hold the edges of each task.

    In a workflow of version 2 an edge leads from task to task, and its value is the event. In version 1 edges lead from
    a task to an event and from the event to tasks, and the event's node has its name. An edge may name its event in
    another field, or not at all: then it is unknown whether its task must follow. `tells_end` is whether TheEye sets
    the end of its jobs.
    """

    def __init__(self, workflow: Mapping[str, Any]) -> None:
        """Read the edges in a workflow's document; ignore invalid ones."""
        self.tells_end = workflow.get("version") not in (None, 1, "1")
        graph = workflow.get("graph")
        graph = graph if isinstance(graph, dict) else {}
        nodes = _objects(graph.get("nodes"))
        events = dict(_events(nodes))
        self.tasks = [str(node.get("v")) for node in nodes if str(node.get("v")) not in events]
        found: defaultdict[str, list[Edge]] = defaultdict(list)
        for edge in _objects(graph.get("edges")):
            if "v" in edge and "w" in edge:
                found[str(edge["v"])].append((_event_of(edge), str(edge["w"])))
        self._edges = {
            node: [each for edge in edges for each in _to_tasks(edge, events, found)]
            for node, edges in found.items()
            if node not in events
        }

    @property
    def edges(self) -> list[tuple[str, str | None, str]]:
        """Return each edge: a task, the event that ends its job, and the next task."""
        return [(task, event, after) for task, edges in self._edges.items() for event, after in edges]

    @property
    def is_chain(self) -> bool:
        """Return whether at most one task follows each event: then no two steps run at the same time."""
        labels = [[label for label, _ in edges] for edges in self._edges.values()]
        return all(len(found) < 2 or (None not in found and len(set(found)) == len(found)) for found in labels)

    def awaits(self, steps: Iterable[Step], *, surely: bool = False) -> bool:
        """Return whether the ended steps must be followed by another step.

        With `surely` match events by name only, and ask for one step of each task: TheEye may have deleted older ones.
        """
        steps = list(steps)
        if not self._edges and not self.tells_end:
            return not surely  # without edges nothing tells whether a step follows
        started = Counter(step.task for step in steps[1:])  # the first step follows none
        called: Counter[str] = Counter()
        for step in steps:
            if step.has_ended:
                edges, wanted = self._edges.get(step.task, ()), {step.event} if surely else {step.event, None}
                called.update(task for label, task in edges if label in wanted)
        return any((1 if surely else count) > started[task] for task, count in called.items())


def _event_of(edge: Mapping[str, Any]) -> str | None:
    names = (text_of(edge.get(field)) for field in ("value", "trigger_name", "name"))
    return next(filter(None, names), None)


class Graphs:
    """Remember the graphs of workflows."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[float, Graph]] = OrderedDict()

    def get(self, caller: Caller) -> Graph | None:
        """Return the graph of the caller's workflow, or None if it is not remembered."""
        with self._lock:
            until, graph = self._known.get((caller.customer, caller.runs.name), (0.0, None))
        return graph if until > monotonic() else None

    def remember(self, caller: Caller, document: Mapping[str, Any]) -> Graph:
        """Return the graph in the document of the caller's workflow, and remember it."""
        graph, key = Graph(document), (caller.customer, caller.runs.name)
        with self._lock:
            self._known[key] = (monotonic() + KNOWN_SECONDS, graph)
            self._known.move_to_end(key)
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return graph


def _to_tasks(edge: Edge, events: Mapping[str, str | None], found: Mapping[str, list[Edge]]) -> list[Edge]:
    """Return an edge to a task unchanged; replace an edge to an event by the edges from there to tasks."""
    _, node = edge
    return [(events[node], task) for _, task in found.get(node, ())] if node in events else [edge]


def _events(nodes: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str | None]]:
    """Yield the nodes that are events, each with the event's name."""
    for node in nodes:
        value = node.get("value")
        if isinstance(value, dict) and "Event" in str(value.get("_type")):
            yield str(node.get("v")), text_of(value.get("name"))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
