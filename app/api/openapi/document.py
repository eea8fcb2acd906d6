"""The interface as an OpenAPI 3.1 document, put together from the routes, the modes, the settings and the errors."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from app.api.openapi import asked, errors, headers, schemas
from app.api.openapi.answers import Answers
from app.health import our_version
from app.settings import Settings
from formatters import Mode

Node = dict[str, Any]


class Route(NamedTuple):
    """A path as Flask writes it, the name of its view, and its methods."""

    path: str
    view: str
    methods: Collection[str]


def document(routes: Iterable[Route], modes: Sequence[Mode], settings: Settings) -> Node:
    """The whole document. Raises KeyError for a view that nothing is known about."""
    describe = _Describer(modes, settings)
    paths: Node = {}
    for route in sorted(routes):
        path = re.sub("<([a-z]+)>", r"{\1}", route.path)
        node = paths.setdefault(path, _in_path(path, asked.IN_PATH))
        for method in sorted(route.methods, key=["GET", "HEAD", "POST", "DELETE", "OPTIONS"].index):
            node.setdefault(method.lower(), describe.operation(route.view, method, path))
    return {
        "openapi": "3.1.0",
        "info": {"title": "TheEye Sync", "version": our_version(), "description": _ABOUT},
        "servers": [{"url": "."}],
        "tags": [{"name": name, "description": words} for name, words in _TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": asked.security_schemes(settings.query_token),
            "headers": headers.components("*" in settings.cors_origins),
            "responses": describe.answers.of_other_methods(),
            "schemas": schemas.SCHEMAS,
        },
    }


class _Describer:
    """Describes one operation after the other."""

    def __init__(self, modes: Sequence[Mode], settings: Settings) -> None:
        self.answers = Answers(modes)
        self._modes = modes
        self._security: list[Node] = [{name: []} for name in asked.security_schemes(settings.query_token)]
        self._views: Mapping[str, Callable[[], Node]] = {
            "run_task": self._run_task,
            "read_job": self._read_job,
            "cancel_job": self._cancel_job,
            "status": self._status,
            "alive": self._alive,
            "ready": self._ready,
            "openapi": self._openapi,
        }

    def operation(self, view: str, method: str, path: str) -> Node:
        """What a view does with a method."""
        found = self._views[view]()
        if method == "OPTIONS":
            return self._preflight(path)
        if method == "HEAD":
            found = {**found, "summary": f"{found['summary']}: the headers only", "responses": _bodiless(found)}
        return {"operationId": view if method != "HEAD" else f"{view}_head", **found}

    def _run_task(self) -> Node:
        return {
            "tags": ["jobs"],
            "summary": "Run a task, wait for its job, and answer with what came of it",
            "description": _RUN,
            "security": self._security,
            "parameters": asked.of_run(self._modes),
            "requestBody": asked.BODY,
            "responses": _linked(self.answers.of_job(errors.RUN, "POST")),
        }

    def _read_job(self) -> Node:
        return {
            "tags": ["jobs"],
            "summary": "The same answer later, in any mode",
            "security": self._security,
            "parameters": asked.of_read(self._modes),
            "responses": self.answers.of_job(errors.READ, "GET"),
        }

    def _cancel_job(self) -> Node:
        return {
            "tags": ["jobs"],
            "summary": "Cancel a job, and tell what became of it",
            "security": self._security,
            "parameters": asked.of_cancel(self._modes),
            "responses": self.answers.of_cancel(errors.CANCEL),
        }

    def _status(self) -> Node:
        return self._page("Who this service is, as the original tells it", {200: "Status"})

    def _alive(self) -> Node:
        return self._page("Whether the process is alive", {200: "Alive"})

    def _ready(self) -> Node:
        return self._page("Whether a task could be run now", {200: "Ready", 503: "NotReady"})

    def _openapi(self) -> Node:
        return self._page("This document", {200: "Document"})

    def _page(self, summary: str, schemas: Mapping[int, str]) -> Node:
        return {"tags": ["service"], "summary": summary, "security": [], "responses": self.answers.of_page(schemas)}

    def _preflight(self, path: str) -> Node:
        return {
            "tags": ["cors"],
            "operationId": "preflight_" + re.sub("[^a-z]+", "_", path).strip("_"),
            **_in_path(path, asked.ANY_PATH),
            "summary": "What a browser asks before it sends the request itself",
            "security": [],
            "responses": self.answers.of_preflight(),
        }


def _in_path(path: str, known: Mapping[str, Node]) -> Node:
    names = re.findall("{([a-z]+)}", path)
    return {"parameters": [{"name": name, "in": "path", "required": True, **known[name]} for name in names]}


def _linked(responses: Node) -> Node:
    """From an answer with a job to what can be done about the job."""
    known = {name: f"$request.path.{name}" for name in ("customer", "task")}
    parameters = {**known, "job": "$response.header.X-Job-Id"}
    links = {view: {"operationId": view, "parameters": parameters} for view in ("read_job", "cancel_job")}
    with_job = ("200", "202", "500", "504")
    return {status: {**node, "links": links} if status in with_job else node for status, node in responses.items()}


def _bodiless(operation: Node) -> Node:
    responses: Mapping[str, Node] = operation["responses"]
    return {
        status: {name: part for name, part in answer.items() if name != "content"}
        for status, answer in responses.items()
    }


_TAGS = {
    "jobs": "Tasks of TheEye as synchronous calls.",
    "service": "About the service itself. None of these asks for a token.",
    "cors": "Preflight requests. They are answered on every path and without a token.",
}

_ABOUT = """\
TheEye's asynchronous tasks as synchronous API calls: `POST` the arguments, and the answer is the job's output under a
status that says how it went.

An answer with `X-Job-State` comes from a job that has ended, and the job made its status; without that header the
status is the service's own. The exceptions are the codes `EFORMATTER`, `EJOBENDED` and `EINTERNAL`, and the 204 of a
cancel.

A method that a path does not have is 405 `EMETHOD`, and a path that is not listed here is 404 `ENOTFOUND`. What is no
HTTP at all, or has a request line of more than 8190 bytes, is refused by gunicorn, not in JSON."""

_RUN = """\
One request creates one job, waits until it has ended, and answers in the mode that the query or `Accept` asks for. With
no mode asked for, the answer is the output: an array of strings, under 200 for the job's state `success` and 500 for
any other. Of several modes the one that stands first among the parameters counts.

The names `lifecycle` and `wait_result` are removed from the query and from the body: they would change how TheEye runs
the job."""
