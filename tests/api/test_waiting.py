"""How long a request waits: `?wait` and `Prefer`, over the interface."""

import time
from typing import Any

import pytest
from support.theeye import JOB
from support.world import World, only_job
from werkzeug import Response

pytestmark = pytest.mark.settings(wait_seconds=20)


@pytest.fixture
def world(world: World) -> World:
    """A world with a task whose jobs do not end by themselves."""
    world.theeye.task(delay=None)
    return world


def unfinished(got: Response, status: int, world: World) -> dict[str, Any]:
    """The body of an answer without a result, after a check of all that a 202 and a 504 have in common."""
    body: dict[str, Any] = got.get_json()
    job_id = world.last_job()
    assert (got.status_code, body["statusCode"], body["status"]) == (status, status, status)
    assert list(body) == ["message", "statusCode", "name", "code", "status", "job", "result_url"]
    assert body["job"] == {"id": job_id, "lifecycle": "ready", "state": "in_progress"}
    assert body["result_url"] == got.headers["Location"] == f"{JOB}/{job_id}"
    assert (got.headers["X-Job-Id"], got.headers["Retry-After"]) == (job_id, "1")
    return body


@pytest.mark.parametrize(
    ("query", "headers", "applied"),
    [("", {"Prefer": "wait=1"}, "wait=1"), ("?wait=1", {}, None), ("?wait=1", {"Prefer": "wait=9"}, "wait=1")],
)
def test_a_wait_of_a_second(query: str, headers: dict[str, str], applied: str | None, world: World) -> None:
    began = time.monotonic()
    got = world.post(query, **headers)
    assert 1 <= time.monotonic() - began < 15, "not the service's own 20 s"
    assert unfinished(got, 504, world)["code"] == "ETIMEISUP"
    assert got.headers.get("Preference-Applied") == applied


def test_no_wait_at_all_is_one_look(world: World) -> None:
    before = len(world.theeye.calls)
    assert unfinished(world.post("?wait=0"), 504, world)["code"] == "ETIMEISUP"
    assert only_job(world.theeye.calls[before:]) == ["create", "read"]


def test_no_wait_at_all_finds_a_job_that_ended_at_once(world: World) -> None:
    world.theeye.task(output=["1"])
    assert world.post("?wait=0").get_json() == ["1"]


def test_respond_async_is_202_without_a_look(world: World) -> None:
    before = len(world.theeye.calls)
    got = world.post(Prefer="respond-async")
    body = unfinished(got, 202, world)
    assert (body["name"], body["code"]) == ("Accepted", "")
    assert got.headers["Preference-Applied"] == "respond-async"
    assert only_job(world.theeye.calls[before:]) == ["create"]


def test_respond_async_after_a_wait(world: World) -> None:
    began = time.monotonic()
    got = world.post(Prefer="respond-async, wait=1")
    assert 1 <= time.monotonic() - began < 15, "not the service's own 20 s"
    unfinished(got, 202, world)
    assert got.headers["Preference-Applied"] == "respond-async, wait=1"


def test_respond_async_with_a_wait_in_the_query(world: World) -> None:
    got = world.post("?wait=0.1", Prefer="respond-async")
    unfinished(got, 202, world)
    assert got.headers["Preference-Applied"] == "respond-async"


def test_respond_async_of_a_job_that_ends_in_time(world: World) -> None:
    world.theeye.task(output=["1"], delay=0.1)
    got = world.post(Prefer="respond-async, wait=5")
    assert (got.status_code, got.get_json()) == (200, ["1"])
    assert got.headers["Preference-Applied"] == "wait=5"
    assert "Location" not in got.headers


@pytest.mark.parametrize("query", ["?wait=x", "?wait=-1", "?wait", "?on_disconnect=other", "?on_disconnect"])
def test_nonsense_is_400_and_starts_nothing(query: str, world: World) -> None:
    before = len(world.theeye.calls)
    got = world.post(query)
    assert (got.status_code, got.get_json()["code"]) == (400, "EINVALID")
    assert len(world.theeye.calls) == before


def test_cancel_on_disconnect_cannot_go_with_an_idempotency_key(world: World) -> None:
    before = len(world.theeye.calls)
    got = world.post("?on_disconnect=cancel", Idempotency_Key="k")
    assert (got.status_code, got.get_json()["code"]) == (400, "EINVALID")
    assert "Idempotency-Key" in got.get_json()["message"]
    assert len(world.theeye.calls) == before


def test_nonsense_in_the_header_is_ignored_by_the_service(world: World) -> None:
    world.theeye.task(output=["1"])
    got = world.post(Prefer='wait=x, ;;=,"')
    assert got.status_code == 200
    assert "Preference-Applied" not in got.headers
