"""Test how long a request waits: `?wait` and `Prefer`, over HTTP."""

import time
from typing import Any

import pytest
from support.client import error_of
from support.theeye import JOB
from support.world import World, only_job
from werkzeug import Response

pytestmark = pytest.mark.settings(wait_seconds=20)


@pytest.fixture
def world(world: World) -> World:
    """Return a world with a task whose jobs do not end by themselves."""
    world.theeye.task(delay=None)
    return world


def unfinished(got: Response, status: int, world: World) -> dict[str, Any]:
    """Check what a 202 and a 504 have in common; return the body."""
    body: dict[str, Any] = got.get_json()
    job_id = world.last_job()
    assert (got.status_code, body["statusCode"], body["status"]) == (status, status, status)
    assert list(body) == ["message", "statusCode", "name", "code", "status", "job", "result_url"]
    assert body["job"] == {"id": job_id, "lifecycle": "ready", "state": "in_progress"}
    assert body["result_url"] == got.headers["Location"] == f"{JOB}/{job_id}"
    assert (got.headers["X-Job-Id"], got.headers.get("Retry-After")) == (job_id, "1" if status == 202 else None)
    return body


@pytest.mark.parametrize(
    ("query", "prefer", "status", "applied"),
    [
        ("", "wait=1", 504, "wait=1"),
        ("?wait=0.2", "", 504, None),
        ("?wait=1", "wait=9", 504, "wait=1"),
        ("", "respond-async, wait=1", 202, "respond-async, wait=1"),
        ("?wait=0.2", "respond-async", 202, "respond-async"),
    ],
)
def test_a_wait_of_so_many_seconds(query: str, prefer: str, status: int, applied: str | None, world: World) -> None:
    began = time.monotonic()
    got = world.post(query, Prefer=prefer)
    seconds = 0.2 if "0.2" in query else 1
    assert seconds <= time.monotonic() - began < 15, "not the service's own 20 s"
    assert unfinished(got, status, world)["code"] == ("ETIMEISUP" if status == 504 else "")
    assert got.headers.get("Preference-Applied") == applied


def test_no_wait_at_all_is_one_look(world: World) -> None:
    with world.calls() as calls:
        assert unfinished(world.post("?wait=0"), 504, world)["code"] == "ETIMEISUP"
    assert only_job(calls) == ["create", "read"]


def test_no_wait_at_all_finds_a_job_that_ended_at_once(world: World) -> None:
    world.theeye.task(output=["1"])
    assert world.post("?wait=0").get_json() == ["1"]


def test_respond_async_is_202_without_a_look(world: World) -> None:
    with world.calls() as calls:
        got = world.post(Prefer="respond-async")
    body = unfinished(got, 202, world)
    assert (body["name"], body["code"]) == ("Accepted", "")
    assert got.headers["Preference-Applied"] == "respond-async"
    assert only_job(calls) == ["create"]


def test_respond_async_of_a_job_that_ends_in_time(world: World) -> None:
    world.theeye.task(output=["1"], delay=0.1)
    got = world.post(Prefer="respond-async, wait=5")
    assert (got.status_code, got.get_json()) == (200, ["1"])
    assert got.headers["Preference-Applied"] == "wait=5"
    assert "Location" not in got.headers


NONSENSE = ["?wait=x", "?wait=-1", "?wait", "?on_disconnect=other", "?on_disconnect"]


@pytest.mark.parametrize(
    ("query", "headers", "words"),
    [*((query, {}, "") for query in NONSENSE), ("?on_disconnect=cancel", {"Idempotency_Key": "k"}, "Idempotency-Key")],
)
def test_nonsense_is_400_and_starts_nothing(query: str, headers: dict[str, str], words: str, world: World) -> None:
    with world.calls() as calls:
        assert words in error_of(world.post(query, **headers), 400, "EINVALID")["message"]
    assert calls == []


def test_nonsense_in_the_header_is_ignored_by_the_service(world: World) -> None:
    world.theeye.task(output=["1"])
    got = world.post(Prefer='wait=x, ;;=,"')
    assert got.status_code == 200
    assert "Preference-Applied" not in got.headers
