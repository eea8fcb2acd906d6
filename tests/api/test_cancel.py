"""Test the cancel of a job: `DELETE` on /{customer}/task/{task}/job/{job}."""

from dataclasses import dataclass
from typing import Any

import pytest
from support.client import error_of
from support.faults import Answer, Exchange
from support.theeye import JOB, Reply, StandIn
from support.world import World, only_job
from werkzeug import Response

from app.api import jobs

pytestmark = pytest.mark.settings(wait_seconds=10)


@pytest.mark.parametrize(
    ("lifecycle", "becomes"), [("ready", "canceled"), ("onhold", "canceled"), ("assigned", "terminated")]
)
def test_a_job_that_runs_is_cancelled(lifecycle: str, becomes: str, world: World) -> None:
    job_id = world.start()
    world.theeye.change(job_id, lifecycle=lifecycle)
    got = world.delete(job_id)
    assert (got.status_code, got.data) == (204, b"")
    assert (world.theeye.jobs[job_id]["lifecycle"], world.theeye.jobs[job_id]["state"]) == (becomes, "canceled")
    assert (got.headers["X-Job-Id"], got.headers["X-Job-Lifecycle"]) == (job_id, becomes)
    later = world.get(job_id)
    assert (later.status_code, later.headers["X-Job-State"]) == (500, "canceled")


def test_a_cancel_ends_the_waits(world: World) -> None:
    with world.parked() as ([job_id], [answer]):
        assert world.delete(job_id).status_code == 204
        got = answer.result()
    assert (got.status_code, got.headers["X-Job-Id"], got.headers["X-Job-State"]) == (500, job_id, "canceled")


def ended(got: Response, job_id: str, lifecycle: str, state: str) -> None:
    """Check the answer about a job that cannot be cancelled any more."""
    assert error_of(got, 409, "EJOBENDED")["job"] == {"id": job_id, "lifecycle": lifecycle, "state": state}
    assert (got.headers["X-Job-Id"], got.headers["X-Job-State"]) == (job_id, state)


@pytest.mark.parametrize(("state", "lifecycle"), [("success", "finished"), ("canceled", "canceled")])
def test_an_ended_job_cannot_be_cancelled(state: str, lifecycle: str, world: World) -> None:
    world.theeye.task(state=state, lifecycle=lifecycle)
    job_id = world.post().headers["X-Job-Id"]
    with world.calls() as calls:
        ended(world.delete(job_id), job_id, lifecycle, state)
    assert only_job(calls) == ["read"]


@dataclass(frozen=True)
class Ends:
    """Answer a cancel, after which TheEye shows the job in this state."""

    theeye: StandIn
    lifecycle: str
    state: str

    def play(self, exchange: Exchange) -> bool:
        self.theeye.finish(lifecycle=self.lifecycle, state=self.state)
        return exchange.reply(Answer(204))


@pytest.mark.parametrize(
    ("lifecycle", "state"), [("canceled", "in_progress"), ("terminated", "canceled"), ("terminated", "in_progress")]
)
def test_a_cancelled_job_in_any_of_theeyes_words_is_204(lifecycle: str, state: str, world: World) -> None:
    job_id = world.start()
    world.theeye.fault("cancel", Ends(world.theeye, lifecycle, state), times=1)
    got = world.delete(job_id)
    assert (got.status_code, got.headers["X-Job-Lifecycle"], got.headers["X-Job-State"]) == (204, lifecycle, state)


@dataclass(frozen=True)
class TooLate:
    """Answer a cancel of a job that has just ended, as one of TheEye's versions does."""

    theeye: StandIn
    job_id: str
    answer: Answer

    def play(self, exchange: Exchange) -> bool:
        self.theeye.finish(self.job_id)
        return exchange.reply(self.answer)


@pytest.mark.parametrize("answer", [Answer(204), Answer(400, b'"cannot cancel job"')])
def test_a_cancel_that_came_too_late_is_409(answer: Answer, world: World) -> None:
    job_id = world.start()
    world.theeye.fault("cancel", TooLate(world.theeye, job_id, answer), times=1)
    ended(world.delete(job_id), job_id, "finished", "success")


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ({"statusCode": 403, "message": "Job is not cancellable"}, 403, ""),
        ({"statusCode": 409, "message": "session of another organization"}, 409, ""),
        ({"statusCode": 500, "message": "x"}, 502, "ESUPERVISOR"),
        ({"statusCode": 404, "message": "job not found"}, 404, "ENOTFOUND"),
    ],
)
def test_a_cancel_that_theeye_refuses_or_cannot_take(answer: Any, status: int, code: str, world: World) -> None:
    job_id = world.start()
    world.theeye.fault("cancel", Reply(answer["statusCode"], answer), times=1)
    got = world.delete(job_id)
    error = error_of(got, status, code)
    assert error.get("value") == (None if code else answer)
    assert got.headers.get("X-Job-Id") == (None if status == 404 else job_id)
    assert world.theeye.jobs[job_id]["lifecycle"] == "ready"


@pytest.mark.parametrize("status", [204, 400])
def test_a_cancel_whose_job_goes_on_is_202(status: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CANCEL_SECONDS", 0.1)
    job_id = world.start()
    world.theeye.change(job_id, lifecycle="started")
    world.theeye.fault("cancel", Reply(status, "cannot cancel job"), times=1)
    got = world.delete(job_id)
    assert (got.status_code, got.headers["Location"], got.headers["Retry-After"]) == (202, f"{JOB}/{job_id}", "1")
    assert got.get_json()["job"] == {"id": job_id, "lifecycle": "started", "state": "in_progress"}
