"""Test runs: no job is created after the grace time, and an end shown by the create is an answer."""

import gc

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import JOB, Html, Reply, StandIn
from support.world import World

from app import Services
from app.runs.runs import RunRequest


@pytest.mark.settings(grace_seconds=0)
def test_nothing_is_created_once_the_grace_is_over(services: Services, client: FlaskClient, theeye: StandIn) -> None:
    assert post(client).status_code == 200
    services.stop()
    assert "nothing was started" in error_of(post(client), 503, "EBUSY")["message"]
    assert len(theeye.calls_of("create")) == 1


@pytest.mark.parametrize("read", [Reply(404, {"message": "job not found"}), Html(503)])
def test_an_end_that_the_create_shows_is_not_lost(read: Reply, client: FlaskClient, theeye: StandIn) -> None:
    ended = {"id": "a" * 24, "lifecycle": "finished", "state": "success", "output": ["x"]}
    theeye.fault("create", Reply(200, ended), times=1)
    theeye.fault("read", read)
    got = post(client, f"{JOB}?wait=0")
    assert (got.status_code, got.get_json(), got.headers["X-Job-State"]) == (200, ["x"], "success")
    assert theeye.calls_of("read")


def test_no_wait_holds_the_body(world: World) -> None:
    """Otherwise 16 kB of compressed data from a client would take 16 MiB here for as long as the job runs."""
    gc.collect()  # else those of earlier requests, which were refused
    with world.parked():
        assert {each.body for each in gc.get_objects() if isinstance(each, RunRequest)} == {None}
        world.theeye.finish()
