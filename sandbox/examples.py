"""Make the text that `make run` prints when it is ready: the console's address, and example commands."""

import json
import shlex
from datetime import date

from sandbox.identity import CUSTOMER, TOKEN
from sandbox.loading import Recipes
from sandbox.recipes import Task

TASK = "task/61f3e937c38201da80f96c27"
WORKFLOW = "workflow/61f3e937c38201da80f97100"
EXAMPLES = [  # title, what to run, query, argument
    ("the output read as JSON (status 200)", TASK, "?parse", 100),
    ("a job that failed decides the status itself (418)", TASK, "?parse", 200),
    ("the output as TheEye stores it (200)", TASK, "", 100),
    ("a job that failed (500)", TASK, "", 200),
    ("a workflow of two tasks: the output of the last one (200)", WORKFLOW, "?parse", 7),
]


def ready_text(url: str, own: Recipes, *, has_console: bool) -> str:
    """Return the text for a service at this URL, with a command for each of the user's own tasks and workflows."""
    lines = ["", f"TheEye Sync is ready, for the customer {CUSTOMER} and the token {TOKEN}. In a browser:", ""]
    lines += [f"{url}/console" if has_console else "(the console is switched off by SYNC_CONSOLE)", ""]
    lines += ["In another terminal:", ""]
    for title, runs, query, number in EXAMPLES:
        lines += _command(url, title, runs, query, [number])
    for task in own.tasks.values():
        lines += _own_command(url, f"your task {task.name}", f"task/{task.id}", task)
    for workflow in own.workflows.values():
        lines += _own_command(url, f"your workflow {workflow.name}", f"workflow/{workflow.id}", workflow.first)
    return "\n".join(
        [*lines, "docs/api.md has more. Ctrl-C stops the service. It writes a line for each request:", "", ""]
    )


def _own_command(url: str, title: str, runs: str, task: Task) -> list[str]:
    """Return a command with the values that the task declares; print a label for a value that only the user knows."""
    arguments = [_example(each) for each in task.arguments]
    if any(isinstance(each, _Placeholder) for each in arguments):
        title += "; replace <...> by your own values"
    return _command(url, " ".join(title.split()), runs, "?parse", arguments)


def _command(url: str, title: str, runs: str, query: str, arguments: list[object]) -> list[str]:
    body = json.dumps({"task_arguments": arguments}, separators=(",", ":"), ensure_ascii=False)
    return [
        f"# {title}",
        f"curl -i -X POST '{url}/{CUSTOMER}/{runs}/job{query}' --header 'authorization: Bearer {TOKEN}' \\",
        f"     --header 'content-type: application/json' --data {shlex.quote(body)}",
        "",
    ]


class _Placeholder(str):
    """Hold the label of an argument, to be replaced by a value."""

    __slots__ = ()


def _example(argument: dict[str, object]) -> object:
    """Return a value for an argument: null if the task has its own, or if the argument is optional."""
    kind, value, options = argument.get("type"), argument.get("value"), argument.get("options")
    if kind == "fixed" or argument.get("readonly"):
        return None
    if value not in (None, ""):
        return value
    if argument.get("required") is False:
        return None
    if kind == "select" and isinstance(options, list) and options:
        return options[0].get("id") if isinstance(options[0], dict) else options[0]
    if kind == "date":
        return date.today().isoformat()
    if kind == "file":
        return "data:text/plain;base64,aGVsbG8K"
    return _Placeholder(f"<{argument.get('label') or kind or 'input'}>")
