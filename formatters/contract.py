"""What a formatter is, what it is given and what it gives back.

FormatterError        its words are for the client
├── BadQuery          400, raised by `check`: the argument cannot be used, nothing is started
├── BadOutput         502, raised by `format`: the job's output is not what this mode needs
└── BadAnswer         502, raised by the service: the answer is none that HTTP can carry
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

JSON_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"


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
