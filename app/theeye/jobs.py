"""Read TheEye's job documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any

from app.theeye.steps import CANCELED, ENDED, Steps, date, id_of, text_of

WORKFLOW_JOB = "WorkflowJob"  # the `_type` of a workflow's own job


@dataclass(slots=True)  # not frozen: setting a field of a frozen one costs ten times as much, and a request makes five
class Job:
    """Hold a job as last read, which never changes; `document` is TheEye's, with the job's id, or empty if unread.

    `exit_code` is that of the script, or None if the agent has reported no integer; `created` is TheEye's date. Only a
    workflow's job has `steps`, and `whole`: TheEye's document with the jobs of its tasks.
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
        """Read a job document; `job_id` is used if it has no id."""
        own_id = id_of(document) or job_id
        if document.get("id") != own_id:
            document = {**document, "id": own_id}
        lifecycle, state = text_of(document.get("lifecycle")), text_of(document.get("state"))
        return cls(own_id, lifecycle, state, document, _exit_code(document), text_of(document.get("creation_date")))

    @property
    def has_ended(self) -> bool:
        """Return whether the lifecycle is a final one."""
        return self.lifecycle in ENDED

    @property
    def was_canceled(self) -> bool:
        """Return whether the job or a step of it was cancelled. TheEye may set its state later, or never."""
        cut_short = (self.lifecycle, self.state) == ("terminated", "in_progress")
        steps = self.steps.all if self.steps is not None else ()
        return cut_short or CANCELED in (self.state, self.lifecycle) or any(step.was_canceled for step in steps)

    @property
    def age(self) -> float:
        """Return how many seconds ago the job was read."""
        return monotonic() - self.seen_at

    @property
    def running_for(self) -> float:
        """Return how many seconds ago the job was created, by TheEye's date and this clock; 0 without a date."""
        created = date(self.created)
        return 0.0 if created is None else max(time() - created, 0.0)

    def at(self, lifecycle: str) -> "Job":
        """Return the job with another lifecycle and without a document, after a call that shows the lifecycle only."""
        return replace(self, lifecycle=lifecycle, document={}, seen_at=monotonic())

    def without_document(self) -> "Job":
        """Return the job for a wait, without its document: that takes memory, and is read again at the end."""
        return Job(self.id, self.lifecycle, self.state, {}, self.exit_code, self.created, self.seen_at, self.steps)


def _exit_code(document: Mapping[str, Any]) -> int | None:
    result = document.get("result")
    code = result.get("code") if isinstance(result, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None
