"""What a plugin declares, read once at start-up and checked: nothing of it is looked at again."""

import math
import re
from dataclasses import dataclass
from typing import Any

from formatters.contract import Formatter

RESERVED = frozenset({"access_token", "wait", "on_disconnect", "lifecycle", "wait_result", "task_arguments"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


class RegistrationError(Exception):
    """A formatter cannot be registered; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A formatter with what it declared, and the plugin it came from."""

    formatter: Formatter
    name: str
    queries: tuple[str, ...]
    media_types: tuple[str, ...]
    precedence: float
    plugin: str = ""
    version: str = ""


def declared(formatter: object, plugin: str = "", version: str = "") -> Mode:
    """What a formatter declares. Raises RegistrationError for what cannot be."""
    if isinstance(formatter, type):
        raise RegistrationError(f"{formatter.__name__} is a class: register an object of it")
    if not isinstance(formatter, Formatter):
        raise RegistrationError(f"{type(formatter).__name__} is no Formatter")
    name = _matching(_NAME, getattr(formatter, "name", None), f"the name of {type(formatter).__name__}")
    queries = _all_matching(_NAME, formatter.queries, f"a query name of {name!r}")
    media_types = _all_matching(_MEDIA_TYPE, formatter.media_types, f"a media type of {name!r}")
    for reserved in RESERVED.intersection(queries):
        raise RegistrationError(f"the query name {reserved!r} is the service's own")
    if "application/json" in media_types:
        raise RegistrationError("application/json is what the service answers anyway")
    return Mode(formatter, name, queries, media_types, _number(formatter.precedence, name), plugin, version)


def check_taken(modes: list[Mode]) -> None:
    """Raises RegistrationError where two modes have a name, a query name or a media type in common."""
    for what, values in (
        ("name", [mode.name for mode in modes]),
        ("query", [query for mode in modes for query in mode.queries]),
        ("media type", [media_type for mode in modes for media_type in mode.media_types]),
    ):
        for value in values:
            if values.count(value) > 1:
                raise RegistrationError(f"the {what} {value!r} is taken by another formatter")


def _all_matching(pattern: re.Pattern[str], values: Any, what: str) -> tuple[str, ...]:
    if not isinstance(values, (tuple, list, set, frozenset)):
        raise RegistrationError(f"{what} cannot be read: it must stand in a tuple, not in {type(values).__name__}")
    return tuple(_matching(pattern, value, what) for value in values)


def _matching(pattern: re.Pattern[str], value: Any, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RegistrationError(f"{what} cannot be {value!r:.80}")
    return str.__str__(value)


def _number(precedence: Any, name: str) -> float:
    if not isinstance(precedence, (int, float)) or isinstance(precedence, bool) or not math.isfinite(precedence):
        raise RegistrationError(f"the precedence of {name!r} is no number")
    return precedence
