"""Cancelling for clients that have gone: later, unless they come back, and at once when the process stops."""

import threading
from time import monotonic

import pytest

from app.errors import UpstreamFailed
from app.settings import Settings
from app.telemetry.trace import Trace
from app.theeye.client import Caller, Supervisor
from app.waiter.cancellations import Cancellations
from app.waiter.notifications import Notifications

ACME = Caller("acme", "t")


class Recording(Supervisor):
    """Takes half a second for each cancel, and remembers it."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.cancelled: list[str] = []
        self.request_ids: list[str] = []
        self.done = threading.Event()

    def cancel(self, caller: Caller, job_id: str) -> None:
        threading.Event().wait(0.3)
        self.cancelled.append(job_id)
        self.request_ids.append(caller.trace.request_id)
        self.done.set()
        if job_id == "refused":
            raise UpstreamFailed("no")


@pytest.fixture
def supervisor() -> Recording:
    return Recording()


def test_after_the_grace(supervisor: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.waiter.cancellations.GRACE_SECONDS", 0.05)
    Cancellations(supervisor, Notifications()).later(Caller("acme", "t", Trace("r-1")), "j1")
    assert supervisor.done.wait(5)
    assert (supervisor.cancelled, supervisor.request_ids) == (["j1"], ["r-1"])


def test_not_when_somebody_waits_again(supervisor: Recording) -> None:
    notifications = Notifications()
    cancellations = Cancellations(supervisor, notifications)
    cancellations.later(ACME, "j1")
    with notifications.watch("j1", notifications.epoch):
        cancellations.all_now()
    assert supervisor.cancelled == []


def test_all_that_is_due_at_a_stop_and_whatever_comes_after(supervisor: Recording) -> None:
    cancellations = Cancellations(supervisor, Notifications())
    for number in range(10):
        cancellations.later(ACME, f"j{number}")
    began = monotonic()
    cancellations.all_now()
    assert monotonic() - began < 2, "one after the other would take 3 s"
    assert sorted(supervisor.cancelled) == sorted(f"j{number}" for number in range(10))
    cancellations.later(ACME, "late")
    assert supervisor.cancelled[-1] == "late"


def test_a_cancel_that_fails_is_logged(supervisor: Recording, caplog: pytest.LogCaptureFixture) -> None:
    cancellations = Cancellations(supervisor, Notifications())
    cancellations.later(ACME, "refused")
    cancellations.all_now()
    assert "job refused could not be cancelled" in caplog.text
