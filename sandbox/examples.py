"""Make the text that `make run` prints when it is ready: the console's address, and example commands."""

import json
import shlex
from collections.abc import Iterable
from datetime import date

from sandbox.identity import CUSTOMER, TOKEN
from sandbox.recipes import Task

TASK = "61f3e937c38201da80f96c27"
EXAMPLES = [  # title, query, argument
    ("the output read as JSON (status 200)", "?parse", 100),
    ("a job that failed decides the status itself (418)", "?parse", 200),
    ("the output as TheEye stores it (200)", "", 100),
    ("a job that failed (500)", "", 200),
]


def ready_text(url: str, own: Iterable[Task], *, has_console: bool) -> str:
    """Return the text for a service at this URL, with a command for each of the user's own tasks."""
    lines = ["", f"TheEye Sync is ready, for the customer {CUSTOMER} and the token {TOKEN}. In a browser:", ""]
    lines += [f"{url}/console" if has_console else "(the console is switched off by SYNC_CONSOLE)", ""]
    lines += ["In another terminal:", ""]
    for title, query, number in EXAMPLES:
        lines += _command(url, title, TASK, query, [number])
    for task in own:
        lines += _own_command(url, task)
    return "\n".join(
        [*lines, "More are in docs/api.md. Ctrl-C stops it. From here on each request writes a line:", "", ""]
    )


def _own_command(url: str, task: Task) -> list[str]:
    """Return a command with the values that the task declares; print a label for a value that only the user knows."""
    title, arguments = f"your task {task.name}", [_example(each) for each in task.arguments]
    if any(isinstance(each, _Placeholder) for each in arguments):
        title += "; write values of yours in the place of <...>"
    return _command(url, " ".join(title.split()), task.id, "?parse", arguments)


def _command(url: str, title: str, task: str, query: str, arguments: list[object]) -> list[str]:
    body = json.dumps({"task_arguments": arguments}, separators=(",", ":"), ensure_ascii=False)
    return [
        f"# {title}",
        f"curl -i -X POST '{url}/{CUSTOMER}/task/{task}/job{query}' --header 'authorization: Bearer {TOKEN}' \\",
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
