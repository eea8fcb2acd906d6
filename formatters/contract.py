"""What a formatter is, what it is given and what it gives back.

FormatterError        its words are for the client
├── BadQuery          400, raised by `check`: the argument cannot be used, nothing is started
├── BadOutput         502, raised by `format`: the job's output is not what this mode needs
└── BadAnswer         502, raised by the service: the answer is none that HTTP can carry
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

JSON_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
RESERVED = frozenset({"access_token", "wait", "on_disconnect", "lifecycle", "wait_result", "task_arguments"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


class FormatterError(Exception):
    """What went wrong, in words for the client; those of any other exception only reach the log."""


class BadQuery(FormatterError):
    """The value of the formatter's own argument cannot be used."""


class BadOutput(FormatterError):
    """The job's output is not what this mode needs."""


class BadAnswer(FormatterError):
    """The answer is none that a response can carry."""


@dataclass(frozen=True, slots=True)
class Context:
    """One ended job and the request it is answered for; it may grow, so formatters take nothing else.

    The job is shared with others: read it, never change it. Of a query name given twice the first value counts.
    """

    job: Mapping[str, Any]
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = field(default="", kw_only=True)

    @property
    def output(self) -> Any:
        """The job's output: an array of strings, in old documents anything; None when it has none."""
        return self.job.get("output")

    @property
    def status(self) -> int:
        """The HTTP status of the job's state: 200 for `success`, 500 for any other."""
        return 200 if self.job.get("state") == "success" else 500


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: without a content type the body is a JSON value, with one it is text or bytes."""

    body: Any
    status: int
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Formatter(ABC):
    """A response mode, chosen before the job is created. One object serves all requests, at the same time.

    It is selected by the presence of one of `queries` in the query, else by the `Accept` header naming one of
    `media_types`. Of several that are selected by the query the one with the highest `precedence` is chosen; the
    built-ins hold result 400, full 300, response 250, parse 200, output 100.
    """

    name: ClassVar[str]
    queries: ClassVar[tuple[str, ...]] = ()
    media_types: ClassVar[tuple[str, ...]] = ()
    precedence: ClassVar[float] = 0

    def check(self, query: Mapping[str, str]) -> None:  # noqa: B027
        """Looks at the query before the job is created. Raises BadQuery for what cannot be used."""

    @abstractmethod
    def format(self, context: Context) -> Answer:
        """The answer for an ended job. Raises BadOutput where the job gives none."""


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
