"""Cancelling for clients that have gone: later, unless they come back, and at once when the process stops."""

import threading
from time import monotonic

import pytest

from app.errors import UpstreamFailed
from app.settings import Settings
from app.theeye.client import Supervisor
from app.waiter.cancellations import Cancellations
from app.waiter.notifications import Wakeups


class Recording(Supervisor):
    """Takes half a second for each cancel, and remembers it."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.cancelled: list[str] = []
        self.headers: list[str] = []
        self.done = threading.Event()

    def cancel(self, customer: str, job_id: str, token: str, headers: str = "") -> None:
        threading.Event().wait(0.3)
        self.cancelled.append(job_id)
        self.headers.append(headers)
        self.done.set()
        if job_id == "refused":
            raise UpstreamFailed("no")


@pytest.fixture
def supervisor() -> Recording:
    return Recording()


def test_after_the_grace(supervisor: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.waiter.cancellations.GRACE_SECONDS", 0.05)
    Cancellations(supervisor, Wakeups()).later("acme", "j1", "t", "X-Request-Id: r-1\r\n")
    assert supervisor.done.wait(5)
    assert (supervisor.cancelled, supervisor.headers) == (["j1"], ["X-Request-Id: r-1\r\n"])


def test_not_when_somebody_waits_again(supervisor: Recording) -> None:
    wakeups = Wakeups()
    cancellations = Cancellations(supervisor, wakeups)
    cancellations.later("acme", "j1", "t")
    with wakeups.watch("j1", wakeups.epoch):
        cancellations.all_now()
    assert supervisor.cancelled == []


def test_all_that_is_due_at_a_stop_and_whatever_comes_after(supervisor: Recording) -> None:
    cancellations = Cancellations(supervisor, Wakeups())
    for number in range(10):
        cancellations.later("acme", f"j{number}", "t")
    began = monotonic()
    cancellations.all_now()
    assert monotonic() - began < 2, "one after the other would take 3 s"
    assert sorted(supervisor.cancelled) == sorted(f"j{number}" for number in range(10))
    cancellations.later("acme", "late", "t")
    assert supervisor.cancelled[-1] == "late"


def test_a_cancel_that_fails_is_logged(supervisor: Recording, caplog: pytest.LogCaptureFixture) -> None:
    cancellations = Cancellations(supervisor, Wakeups())
    cancellations.later("acme", "refused", "t")
    cancellations.all_now()
    assert "job refused could not be cancelled" in caplog.text
