"""Test the calls about a workflow's job."""

from typing import Any

import pytest

from app.errors import Unavailable
from app.settings import Settings
from app.theeye import workflows
from app.theeye.callers import Caller, Runnable
from app.theeye.jobs import Job
from app.theeye.supervisor import Supervisor
from app.theeye.workflows import WorkflowRunner


class Slow(Supervisor):
    """Take a second for each call, by the clock of the runner."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.now = 0.0
        self.timeouts: list[float | None] = []

    def ask(self, caller: Caller, kind: str, method: str, path: str, job_id: str, timeout: float | None = None) -> Any:
        self.timeouts.append(timeout)
        self.now += 1
        raise Unavailable("slow")

    def read(self, caller: Caller, job_id: str, timeout: float | None = None) -> Job:
        self.timeouts.append(timeout)
        self.now += 1
        own = {"id": job_id, "_type": "WorkflowJob", "workflow_id": "w", "customer_id": "c", "lifecycle": "ready"}
        return Job.of(own)


@pytest.mark.parametrize(("timeout", "timeouts"), [(1.5, [1.5, 0.5]), (0.5, [0.5, 0.0]), (None, [None, None])])
def test_the_calls_of_one_look_share_its_time(
    timeout: float | None, timeouts: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, caller = Slow(), Caller("acme", "t", runs=Runnable("workflow", "W"), customer_id="c")
    monkeypatch.setattr(workflows, "monotonic", lambda: slow.now)
    with pytest.raises(Unavailable):
        WorkflowRunner(slow).read(caller, Job("j"), timeout)
    assert slow.timeouts == timeouts
