"""Find the arguments of a job in body and query, by TheEye's rules."""

import re
from collections.abc import Iterable
from typing import Any

from sandbox.jsontext import dumps
from sandbox.recipes import Task

_INDEXED = re.compile(r"(task_arguments|assignee)\[\d*\]")


class WrongArguments(ValueError):
    """Report that there are too few arguments, or that they are not an array."""

    def __init__(self, length: int) -> None:
        super().__init__(f"Invalid Task Arguments. An array of length {length} is required. Optionals must be null")


class WrongPosition(ValueError):
    """Report an argument object whose `order` belongs to another argument."""


def query_object(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the query as an object; a repeated name, or one with brackets, becomes an array."""
    query: dict[str, Any] = {}
    for name, value in pairs:
        if indexed := _INDEXED.fullmatch(name):
            query.setdefault(indexed[1], []).append(value)
        elif name in query:
            before = query[name]
            query[name] = [*before, value] if isinstance(before, list) else [before, value]
        elif name != "access_token":
            query[name] = value
    return query


def argument_values(task: Task, body: Any, query: dict[str, Any]) -> list[Any]:
    """Return the job's arguments. Raise WrongArguments, or WrongPosition, for which TheEye creates a failed job."""
    given = _given(body, query)
    if task.takes_any_arguments:
        values = given if isinstance(given, list) else [given]
        return [_value(value, {"order": position}, task) for position, value in enumerate(values)]
    wanted = len(task.arguments)
    if wanted and (not isinstance(given, list) or len(given) < wanted):
        raise WrongArguments(wanted)
    return [_value(value, argument, task) for value, argument in zip(given, task.arguments, strict=False)]


def _value(given: Any, argument: dict[str, Any], task: Task) -> Any:
    """Return an argument's value: for a fixed argument the task's, for an object that has one its `value`."""
    if argument.get("type") == "fixed":
        return argument.get("value")
    if isinstance(given, dict) and task.arguments_type != "text":
        if given.get("order") and given["order"] != argument.get("order"):
            raise WrongPosition
        given = given.get("value", given)
    return dumps(given) if task.arguments_type == "json" else given


def _given(body: Any, query: dict[str, Any]) -> Any:
    named = body.get("task_arguments") if isinstance(body, dict) else None
    if named is None:
        named = query.get("task_arguments")
    if named is not None:
        return named
    if isinstance(body, list):
        return body
    # JavaScript's `body || query`
    if isinstance(body, dict) or body:
        return [body]
    return [query]
