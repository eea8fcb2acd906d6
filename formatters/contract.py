"""Define the base class of formatters, their input (Context), their result (Answer) and their errors.

FormatterError        its message is sent to the client
├── BadQuery          400, raised by `check`: the argument cannot be used, no job is created
├── BadOutput         502, raised by `format`: the job's output is not what this mode needs
│   └── TooCostly     502, raised by `loads`: reading it as JSON would hold up other requests (formatters/cost.py)
└── BadAnswer         502, raised by the service: HTTP cannot carry the answer
RegistrationError     raised by the registry at the start: the plugin is skipped
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

JSON_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
RESERVED = frozenset({"access_token", "wait", "on_disconnect", "strict", "lifecycle", "wait_result", "task_arguments"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


class FormatterError(Exception):
    """Tell the client what went wrong; the message of any other exception is only logged."""


class BadQuery(FormatterError):
    """Refuse the value of the formatter's own query argument."""


class BadOutput(FormatterError):
    """Report that the job's output is not what this mode needs."""


class BadAnswer(FormatterError):
    """Report an answer that no HTTP response can carry."""


@dataclass(frozen=True, slots=True)
class Context:
    """Hold one ended job and the request to answer. Later versions may add fields.

    Other requests may share the job: read it, never change it. If a query name is repeated, `query` holds its first
    value and `repeated` holds the name. The `job` of a workflow has the output and the result of the last job in it.
    Its `whole` is the job as TheEye has it, with the jobs of its tasks under `jobs`; it is None for a task's job.
    """

    job: Mapping[str, Any]
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = field(default="", kw_only=True)
    repeated: Collection[str] = field(default=(), kw_only=True)
    whole: Mapping[str, Any] | None = field(default=None, kw_only=True)

    @property
    def output(self) -> Any:
        """Return the job's output: an array of strings, anything in old documents, or None."""
        return self.job.get("output")

    @property
    def status(self) -> int:
        """Return the HTTP status of the job's state: 200 for `success`, 500 for any other."""
        return 200 if self.job.get("state") == "success" else 500


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold an HTTP answer. Without a content type the body is a JSON value; with one it is text or bytes."""

    body: Any
    status: int
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Formatter(ABC):
    """Implement one response mode. One object serves all requests concurrently.

    The service chooses the formatter before it creates the job. A request selects one by a name of `queries` in its
    query, else by one of `media_types` in its `Accept` header. If the query selects several, the highest `precedence`
    wins. The built-ins have: result 400, full 300, response 250, parse 200, output 100.
    """

    name: ClassVar[str]
    queries: ClassVar[tuple[str, ...]] = ()
    media_types: ClassVar[tuple[str, ...]] = ()
    precedence: ClassVar[float] = 0

    def check(self, query: Mapping[str, str]) -> None:  # noqa: B027
        """Check the query before the job is created. Raise BadQuery for a value that cannot be used."""

    @abstractmethod
    def format(self, context: Context) -> Answer:
        """Return the answer for an ended job. Raise BadOutput if the job's output does not fit the mode."""


class RegistrationError(Exception):
    """Refuse to register a formatter; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Mode:
    """Hold a formatter, what it declares, and the plugin that registered it."""

    formatter: Formatter
    name: str
    queries: tuple[str, ...]
    media_types: tuple[str, ...]
    precedence: float
    plugin: str = ""
    version: str = ""


def declared(formatter: object, plugin: str = "", version: str = "") -> Mode:
    """Read and check what a formatter declares, once at the start. Raise RegistrationError."""
    if isinstance(formatter, type):
        raise RegistrationError(f"{formatter.__name__} is a class: register an object of it")
    if not isinstance(formatter, Formatter):
        raise RegistrationError(f"{type(formatter).__name__} is not a Formatter")
    name = _matching(_NAME, getattr(formatter, "name", None), f"the name of {type(formatter).__name__}")
    queries = _all_matching(_NAME, formatter.queries, f"a query name of {name!r}")
    media_types = _all_matching(_MEDIA_TYPE, formatter.media_types, f"a media type of {name!r}")
    for reserved in RESERVED.intersection(queries):
        raise RegistrationError(f"the query name {reserved!r} is the service's own")
    if "application/json" in media_types:
        raise RegistrationError("application/json is the service's own media type")
    return Mode(formatter, name, queries, media_types, _number(formatter.precedence, name), plugin, version)


def check_taken(modes: list[Mode]) -> None:
    """Raise RegistrationError if two modes share a name, a query name or a media type."""
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
        raise RegistrationError(f"{what} cannot be read: it must be in a tuple, not in {type(values).__name__}")
    return tuple(_matching(pattern, value, what) for value in values)


def _matching(pattern: re.Pattern[str], value: Any, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RegistrationError(f"{what} cannot be {value!r:.80}")
    return str.__str__(value)


def _number(precedence: Any, name: str) -> float:
    if not isinstance(precedence, (int, float)) or isinstance(precedence, bool) or not math.isfinite(precedence):
        raise RegistrationError(f"the precedence of {name!r} is not a number")
    return precedence
