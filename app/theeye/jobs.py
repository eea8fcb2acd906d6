"""Read TheEye's job documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any

from app.theeye.steps import CANCELED, ENDED, Steps, date, text_of

WORKFLOW_JOB = "WorkflowJob"  # the `_type` of a workflow's own job


@dataclass(frozen=True, slots=True)
class Job:
    """Hold a job as last seen; `document` is TheEye's own with the job's id, empty where only the id is known.

    `exit_code` is that of the script, where the agent has reported an integer; `created` is a date as TheEye writes it.
    Only a workflow's job has `steps`; its `whole` is TheEye's document with its tasks' jobs, where that differs.
    """

    id: str
    lifecycle: str | None = None
    state: str | None = None
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    exit_code: int | None = None
    created: str | None = None
    seen_at: float = field(default_factory=monotonic, repr=False, compare=False)
    steps: Steps | None = field(default=None, repr=False)
    whole: Mapping[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any], job_id: str = "") -> "Job":
        """Read a job document; `job_id` stands in for an id that it lacks."""
        own_id = text_of(document.get("id"))
        if not own_id:
            own_id, document = job_id, {**document, "id": job_id}
        lifecycle, state = text_of(document.get("lifecycle")), text_of(document.get("state"))
        return cls(own_id, lifecycle, state, document, _exit_code(document), text_of(document.get("creation_date")))

    @property
    def has_ended(self) -> bool:
        """Return whether the lifecycle is one of those that a job never leaves."""
        return self.lifecycle in ENDED

    @property
    def was_canceled(self) -> bool:
        """Return whether it, or a step of it, was cut short: TheEye may set the state of such a job later, or never."""
        cut_short = (self.lifecycle, self.state) == ("terminated", "in_progress")
        steps = self.steps.all if self.steps is not None else ()
        return cut_short or CANCELED in (self.state, self.lifecycle) or any(step.was_canceled for step in steps)

    @property
    def age(self) -> float:
        """Return how many seconds ago TheEye showed the job."""
        return monotonic() - self.seen_at

    @property
    def running_for(self) -> float:
        """Return how many seconds ago the job was created, by TheEye's clock and ours; 0 where TheEye does not tell."""
        created = date(self.created)
        return 0.0 if created is None else max(time() - created, 0.0)

    def at(self, lifecycle: str) -> "Job":
        """Return the same job at another lifecycle, as a look at the lifecycle alone shows it: without a document."""
        return replace(self, lifecycle=lifecycle, document={}, seen_at=monotonic())

    def without_document(self) -> "Job":
        """Return the same job for a wait: a document takes memory, and the one of the end is read when it has ended."""
        return replace(self, document={}, whole=None)


def _exit_code(document: Mapping[str, Any]) -> int | None:
    result = document.get("result")
    code = result.get("code") if isinstance(result, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None
