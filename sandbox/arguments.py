"""Choose the arguments of a job by TheEye's rules for body and query."""

import re
from collections.abc import Iterable
from typing import Any

from sandbox.recipes import Task

_INDEXED = re.compile(r"task_arguments\[\d*\]")


class WrongArguments(ValueError):
    """Report that there are too few arguments, or that they are not an array."""

    def __init__(self, length: int) -> None:
        super().__init__(f"Invalid Task Arguments. An array of length {length} is required. Optionals must be null")


def query_object(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the query as an object: a name that is repeated, or has brackets, becomes an array."""
    query: dict[str, Any] = {}
    for name, value in pairs:
        if _INDEXED.fullmatch(name):
            query.setdefault("task_arguments", []).append(value)
        elif name in query:
            before = query[name]
            query[name] = [*before, value] if isinstance(before, list) else [before, value]
        elif name != "access_token":
            query[name] = value
    return query


def argument_values(task: Task, body: Any, query: dict[str, Any]) -> list[Any]:
    """Return the job's arguments; fixed ones take their value from the task. Raise WrongArguments."""
    given = _given(body, query)
    if not task.arguments:
        if body is None and not query:
            return []
        return given if isinstance(given, list) else [given]
    wanted = sum(argument.get("type") != "fixed" for argument in task.arguments)
    if not isinstance(given, list) or len(given) < wanted:
        raise WrongArguments(wanted)
    rest = iter(given)
    return [argument.get("value") if argument.get("type") == "fixed" else next(rest) for argument in task.arguments]


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
