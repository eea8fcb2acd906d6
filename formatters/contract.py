"""What a formatter is, what it is given and what it gives back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Context:
    """One ended job and the query it is answered for; it may grow, so formatters take nothing else."""

    job: Mapping[str, Any]
    query: Mapping[str, str] = field(default_factory=dict)

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
    """A response mode: chosen by the presence of one of `queries`; the highest `precedence` wins."""

    name: ClassVar[str]
    queries: ClassVar[tuple[str, ...]] = ()
    precedence: ClassVar[int] = 0

    @abstractmethod
    def format(self, context: Context) -> Answer:
        """The answer for an ended job."""
