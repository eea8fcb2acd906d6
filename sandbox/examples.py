"""Write what `make run` prints once it is ready: where the console is, and commands to type."""

import json
import shlex
from collections.abc import Iterable

from sandbox.identity import CUSTOMER, TOKEN
from sandbox.recipes import Task

TASK = "61f3e937c38201da80f96c27"
EXAMPLES = [  # title, query, argument
    ("the output read as JSON (status 200)", "parse", 100),
    ("a job that failed decides the status itself (418)", "parse", 200),
    ("the output as TheEye stores it (200)", "", 100),
    ("a job that failed (500)", "", 200),
]


def ready_text(url: str, own: Iterable[Task]) -> str:
    """Return the text for a service at this URL, with a command for each of the user's own tasks."""
    lines = [
        "",
        f"TheEye Sync is ready. In a browser, as customer {CUSTOMER} with the token {TOKEN}:",
        "",
        f"{url}/console",
        "",
        "In another terminal:",
        "",
    ]
    for title, query, number in EXAMPLES:
        lines += _command(url, title, TASK, query, [number])
    for task in own:
        lines += _command(url, f"your task {task.name}", task.id, "parse", [_example(each) for each in task.arguments])
    return "\n".join(
        [*lines, "More are in docs/api.md. Ctrl-C stops it. From here on each request writes a line:", "", ""]
    )


def _command(url: str, title: str, task: str, query: str, arguments: list[object]) -> list[str]:
    address = f"{url}/{CUSTOMER}/task/{task}/job?{query + '&' if query else ''}access_token={TOKEN}"
    body = json.dumps({"task_arguments": arguments}, separators=(",", ":"))
    return [
        f"# {title}",
        f"curl -i -X POST '{address}' \\",
        f"     --header 'content-type: application/json' --data {shlex.quote(body)}",
        "",
    ]


def _example(argument: dict[str, object]) -> object:
    """Return a value for an argument: null for a fixed one, which has its own."""
    if argument.get("type") == "fixed":
        return None
    if argument.get("type") == "file":
        return "data:text/plain;base64,aGVsbG8K"
    return argument.get("value") or "hello"
