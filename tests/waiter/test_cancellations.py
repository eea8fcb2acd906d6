"""Test the cancels of clients that have gone: later, unless they come back, and at once when the process stops."""

import threading

import pytest

from app.errors import UpstreamFailed
from app.settings import Settings
from app.telemetry.trace import Trace
from app.theeye.callers import TASK, Caller
from app.theeye.runner import TaskRunner
from app.theeye.supervisor import Supervisor
from app.waiter.cancellations import Cancellations
from app.waiter.notifications import Notifications

ACME = Caller("acme", "t")


class Recording(Supervisor):
    """Record each cancel; a cancel takes until as many as needed run at the same time."""

    def __init__(self, at_once: int = 1) -> None:
        super().__init__(Settings())
        self._meeting = threading.Barrier(at_once)
        self.cancelled: list[str] = []
        self.request_ids: list[str] = []
        self.done = threading.Event()

    def cancel(self, caller: Caller, job_id: str, timeout: float | None = None) -> None:
        self._meeting.wait(20)
        self.cancelled.append(job_id)
        self.request_ids.append(caller.trace.request_id)
        self.done.set()
        if job_id == "refused":
            raise UpstreamFailed("no")


def cancelling(supervisor: Recording, notifications: Notifications) -> Cancellations:
    return Cancellations({TASK: TaskRunner(supervisor)}, notifications)


@pytest.fixture
def supervisor() -> Recording:
    return Recording()


def test_after_the_grace(supervisor: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.waiter.cancellations.GRACE_SECONDS", 0.05)
    cancelling(supervisor, Notifications()).later(Caller("acme", "t", Trace("r-1")), "j1")
    assert supervisor.done.wait(20)
    assert (supervisor.cancelled, supervisor.request_ids) == (["j1"], ["r-1"])


def test_not_when_somebody_waits_again(supervisor: Recording) -> None:
    notifications = Notifications()
    cancellations = cancelling(supervisor, notifications)
    cancellations.later(ACME, "j1")
    with notifications.watch("j1", notifications.epoch):
        cancellations.all_now()
    assert supervisor.cancelled == []


def test_all_that_is_due_at_a_stop_goes_out_at_once() -> None:
    supervisor = Recording(at_once=10)
    cancellations = cancelling(supervisor, Notifications())
    for number in range(10):
        cancellations.later(ACME, f"j{number}")
    cancellations.all_now()
    assert sorted(supervisor.cancelled) == sorted(f"j{number}" for number in range(10))


def test_whatever_comes_after_a_stop_goes_out_at_once(supervisor: Recording) -> None:
    cancellations = cancelling(supervisor, Notifications())
    cancellations.all_now()
    cancellations.later(ACME, "late")
    assert supervisor.cancelled == ["late"]


def test_a_cancel_that_fails_is_logged(supervisor: Recording, caplog: pytest.LogCaptureFixture) -> None:
    cancellations = cancelling(supervisor, Notifications())
    cancellations.later(ACME, "refused")
    cancellations.all_now()
    assert "job refused could not be cancelled" in caplog.text
