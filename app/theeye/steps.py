"""Represent the steps of a workflow's job, which are the jobs of its tasks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

ENDED = frozenset({"finished", "terminated", "canceled", "expired", "completed"})
CANCELED = "canceled"  # a lifecycle, and a state

_NAMED = ("task_id", "name", "lifecycle")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Hold the job of one task as last read.

    `event` is the event of its end. `gone` means deleted before its end was read; TheEye deletes ended jobs only.
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
        task, name, lifecycle = (text_of(document.get(field)) or "" for field in _NAMED)
        state = text_of(document.get("state"))
        event = text_of(document.get("trigger_name")) or state
        return cls(id_of(document), task, name, lifecycle, state, event)

    @property
    def has_ended(self) -> bool:
        """Return whether the step has ended."""
        return self.gone or self.lifecycle in ENDED

    @property
    def was_canceled(self) -> bool:
        """Return whether the step was cancelled."""
        return CANCELED in (self.lifecycle, self.state)

    @property
    def was_not_started(self) -> bool:
        """Return whether TheEye ended the step at its creation: it does not announce that or end the workflow's job."""
        return (self.lifecycle, self.state) == ("terminated", "error")


@dataclass(frozen=True, slots=True)
class Steps:
    """Hold all steps in order of creation; `last` is the document of the step that ended last, or empty if unread.

    `changed_at` is when a step was last found to start or end, in seconds of `monotonic`. `awaited` is whether the
    graph may demand another step, `lacking` whether it surely does. `silent` means that TheEye announces no end: the
    workflow is of its first version.
    """

    all: tuple[Step, ...] = ()
    last: Document = field(default_factory=dict)
    changed_at: float = field(default_factory=monotonic)
    awaited: bool = False
    lacking: bool = False
    silent: bool = False

    @property
    def running(self) -> list[Step]:
        """Return the steps that have not ended."""
        return [step for step in self.all if not step.has_ended]

    def seen(self, documents: Sequence[Document], *, is_chain: bool = True) -> "Steps":
        """Return the steps after a newer look; keep those that it does not show any more.

        `is_chain` means that no two steps run at the same time: then a step that is shown has ended after a lost one.
        """
        shown = {step.id: (step, document) for document in _in_order(documents) if (step := Step.of(document)).id}
        known = {step.id: step for step in self.all}
        steps = {**known, **{step_id: step for step_id, (step, _) in shown.items()}}
        lost = [step for step in known.values() if step.id not in shown and not step.has_ended]
        steps.update((step.id, replace(step, gone=True)) for step in lost)
        read = {step.id for step in self.all if step.has_ended and not step.gone}
        ended = [document for step, document in shown.values() if step.has_ended and step.id not in read]
        last = {} if lost else self.last  # a lost one may be the last; what ends in a later look replaces it
        if ended and (is_chain or not lost):
            last = max(reversed(ended), key=_end_of)
        changed = bool(ended or lost or len(steps) > len(known))
        changed_at = monotonic() if changed else self.changed_at
        return replace(self, all=tuple(steps.values()), last=last, changed_at=changed_at)


def _in_order(documents: Iterable[Document]) -> list[Document]:
    """Return the documents in order of creation."""
    return sorted(documents, key=lambda document: date(document.get("creation_date")) or 0.0)


def _end_of(document: Document) -> tuple[float, float]:
    """Return when a job ended according to its document; of equal ones the newest job is the last."""
    return date(document.get("last_update")) or 0.0, date(document.get("creation_date")) or 0.0


def date(value: Any) -> float | None:
    """Return TheEye's date (ISO 8601, by default UTC) in seconds since 1970, or None if it is invalid."""
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def id_of(document: Document) -> str:
    """Return a job's id, or an empty text."""
    return text_of(document.get("id")) or text_of(document.get("_id")) or ""


def text_of(value: Any) -> str | None:
    """Return a value if it is a text, else None."""
    return value if isinstance(value, str) else None
