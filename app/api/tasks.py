"""List the tasks that TheEye shows to the caller's token, without fixed and secret values."""

import re
from collections.abc import Mapping
from typing import Any

from flask import request

from app.api.admission import Consequences, admit
from app.api.responses import Response, json_response
from app.errors import BadRequest
from app.theeye.callers import Caller
from app.theeye.supervisor import Supervisor

MAX_LISTED = 1000  # tasks or workflows in one answer

_TASK = ("id", "name", "type")
_ARGUMENT = ("id", "order", "type", "label", "required", "readonly", "multiple", "masked")
_DEFAULTS = ("value", "options")  # shown if the caller may change the argument's value
_SECRET = re.compile(
    r"pass|pwd|secret|token|creden[tc]ial|(api|private|access).?key|(?<![a-z])pin(?![a-z])|clave|contrase",
    re.IGNORECASE,
)


def list_tasks(customer: str) -> Response:
    """Answer with the tasks that the token may see: their id, name, type and arguments."""
    wanted, _ = admit(request.environ, customer)
    with Consequences(wanted):
        found = _tasks(wanted.services.supervisor, wanted.caller, limit_of(wanted.query.first.get("limit")))
    return json_response(200, [_task(task) for task in found])


def _tasks(supervisor: Supervisor, caller: Caller, limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` tasks that are no workflow's own. TheEye's limit counts all: ask for more if some lack."""
    found: list[dict[str, Any]] = []
    for most in sorted({limit, MAX_LISTED}):
        listed = supervisor.tasks(caller, most)
        found = [task for task in listed if isinstance(task, dict) and not _is_step(task)][:limit]
        if len(found) == limit or len(listed) < most:
            break
    return found


def _is_step(task: Mapping[str, Any]) -> bool:
    """Return whether it is a workflow's own: TheEye ends each job of it that no workflow has started."""
    return bool(task.get("workflow_id"))


def limit_of(text: str | None) -> int:
    """Read how many are wanted at most. Raise BadRequest."""
    if text is None:
        return MAX_LISTED
    if not re.fullmatch("[1-9][0-9]{0,3}", text, re.ASCII) or int(text) > MAX_LISTED:
        raise BadRequest(f"limit must be a whole number from 1 to {MAX_LISTED}")
    return int(text)


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: task.get(name) for name in _TASK}, "task_arguments": shown_arguments(task)}


def shown_arguments(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a task's arguments, without fixed and secret values."""
    arguments = task.get("task_arguments")
    return [_argument(each) for each in arguments if isinstance(each, dict)] if isinstance(arguments, list) else []


def _argument(argument: Mapping[str, Any]) -> dict[str, Any]:
    """Return an argument, without a value that the caller cannot change or that looks like a secret."""
    fixed = argument.get("type") == "fixed" or argument.get("readonly")
    named = any(_SECRET.search(str(argument.get(name, ""))) for name in ("type", "label", "id"))
    secret = named or argument.get("masked")  # as TheEye's own page shows it: in dots
    names = _ARGUMENT if fixed or secret else _ARGUMENT + _DEFAULTS
    return {name: argument[name] for name in names if name in argument}
