"""Follow the steps of a workflow's job: the jobs of its tasks, as TheEye shows them from look to look."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

ENDED = frozenset({"finished", "terminated", "canceled", "expired", "completed"})
CANCELED = "canceled"  # a lifecycle, and a state

_NAMED = ("id", "task_id", "name", "lifecycle")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Hold the job of one task as last seen; `event`: what its end has triggered; `gone`: deleted before it was read.

    TheEye deletes ended jobs only.
    """

    id: str
    task: str
    name: str
    lifecycle: str
    state: str | None
    event: str | None
    gone: bool = False

    @classmethod
    def of(cls, document: Document) -> "Step":
        """Read the document of a task's job."""
        own_id, task, name, lifecycle = (text_of(document.get(field)) or "" for field in _NAMED)
        state = text_of(document.get("state"))
        event = text_of(document.get("trigger_name")) or state
        return cls(own_id, task, name, lifecycle, state, event)

    @property
    def has_ended(self) -> bool:
        """Return whether it runs no more."""
        return self.gone or self.lifecycle in ENDED

    @property
    def was_canceled(self) -> bool:
        """Return whether it was cancelled."""
        return CANCELED in (self.lifecycle, self.state)


@dataclass(frozen=True, slots=True)
class Steps:
    """Hold all steps in order of creation; `last`: the document of the one that ended last.

    `changed_at`: when a step was found to start or to end, in seconds of `monotonic`. `awaited`: whether the graph
    calls for a step more. `silent`: TheEye tells of no end, since the workflow is of its first version.
    """

    all: tuple[Step, ...] = ()
    last: Document = field(default_factory=dict)
    changed_at: float = field(default_factory=monotonic)
    awaited: bool = False
    silent: bool = False

    @property
    def running(self) -> list[Step]:
        """Return those that have not ended."""
        return [step for step in self.all if not step.has_ended]

    def seen(self, documents: Sequence[Document]) -> "Steps":
        """Return the steps as a newer look shows them; what it shows no more stays known."""
        shown = {step.id: (step, document) for document in _in_order(documents) if (step := Step.of(document)).id}
        known = {step.id: step for step in self.all}
        steps = {**known, **{step_id: step for step_id, (step, _) in shown.items()}}
        lost = [step for step in known.values() if step.id not in shown and not step.has_ended]
        steps.update((step.id, replace(step, gone=True)) for step in lost)
        read = {step.id for step in self.all if step.has_ended and not step.gone}
        ended = [document for step, document in shown.values() if step.has_ended and step.id not in read]
        last = max(reversed(ended), key=_end_of) if ended else self.last
        changed = bool(ended or lost or len(steps) > len(known))
        changed_at = monotonic() if changed else self.changed_at
        return Steps(tuple(steps.values()), last, changed_at, self.awaited, self.silent)


def _in_order(documents: Iterable[Document]) -> list[Document]:
    """Return the documents by the time of their creation."""
    return sorted(documents, key=lambda document: date(document.get("creation_date")) or 0.0)


def _end_of(document: Document) -> tuple[float, float]:
    """Return when a job ended, as far as its document tells; the newest of several is the last."""
    return date(document.get("last_update")) or 0.0, date(document.get("creation_date")) or 0.0


def date(value: Any) -> float | None:
    """Return a date of TheEye's (ISO 8601, UTC unless it says else) in seconds since 1970; None if it is none."""
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def text_of(value: Any) -> str | None:
    """Return a value that is a text, None for any other."""
    return value if isinstance(value, str) else None
