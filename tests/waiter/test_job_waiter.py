"""Test the wait: what ends it, and how it handles odd documents."""

import json
from itertools import pairwise
from typing import Any

import pytest
from support.client import error_of
from support.theeye import JOB, TASK, Big, Html, Reply, dumps
from support.world import World

from app.waiter.pauses import POLLING, BackOff

MAX_JOB = 100_000

pytestmark = pytest.mark.settings(wait_seconds=20, max_job=MAX_JOB, max_waiting=2)


ENDED = ["finished", "terminated", "canceled", "expired", "completed"]


@pytest.mark.parametrize("lifecycle", ENDED)
def test_every_ended_lifecycle_ends_the_wait(lifecycle: str, world: World) -> None:
    world.theeye.task(delay=0.05, lifecycle=lifecycle, state="failure")
    got = world.post()
    assert got.status_code == 500
    assert got.headers["X-Job-Lifecycle"] == lifecycle
    assert got.headers["X-Job-State"] == "failure"
    assert got.headers["X-Job-Id"] == world.last_job()


def test_a_job_that_ended_unreadably_has_not_ended(world: World) -> None:
    world.theeye.task(output=['{"a":1}'])
    world.theeye.fault("read", Reply(500, {"message": "x"}))
    error = error_of(world.post("?wait=0.2"), 504, "ETIMEISUP")
    assert error["job"]["id"] == world.last_job()
    assert error["message"].startswith("The time is up: the job had not ended when TheEye last showed it, ")


def test_each_answer_says_how_old_its_job_is(world: World) -> None:
    for kind in ("lifecycle", "read"):
        world.theeye.fault(kind, Html(502))
    world.theeye.task(delay=None)
    late = error_of(world.post("?wait=1"), 504, "ETIMEISUP")
    assert not late["message"].endswith("last showed it, 0 s ago"), "since the create no look has shown it"
    created = world.post(Prefer="respond-async").get_json()
    assert created["message"] == "The job had not ended when TheEye last showed it, 0 s ago"


@pytest.mark.parametrize("fault", [Html(503), Reply(200, b"<html>"), Reply(429, "slow down"), Html(404)])
def test_a_look_that_fails_in_passing_is_tried_again(fault: Any, world: World) -> None:
    """This includes a 404 that is not TheEye's."""
    world.theeye.task(output=['{"a":1}'], delay=0.05)
    for kind in ("lifecycle", "read"):
        world.theeye.fault(kind, fault, times=1)
    got = world.post()
    assert (got.status_code, got.get_json()) == (200, ['{"a":1}'])


# -- what else ends a wait --------------------------------------------------------------------------------


def test_a_token_refused_while_its_job_runs_is_401_and_forgotten(world: World) -> None:
    world.warm()
    with world.calls() as before:
        assert world.post().status_code == 200
    assert [call.kind for call in before if call.kind == "profile"] == [], "the session is remembered"
    world.theeye.fault("read", Reply(401, "Unauthorized"), times=1)
    got = world.post()
    assert (got.status_code, got.data) == (401, b'"Unauthorized"')
    assert got.headers["WWW-Authenticate"] == "Bearer"
    assert got.headers["X-Job-Id"] == world.last_job()
    with world.calls() as after:
        assert world.post().status_code == 200
    assert after[0].kind == "profile", "and asked about again"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_job_above_the_limit_is_502(chunked: bool, world: World) -> None:
    world.theeye.fault("read", Big(MAX_JOB, chunked), times=1)
    got = world.post()
    error = error_of(got, 502, "EJOBTOOLARGE")
    assert error["job"]["id"] == got.headers["X-Job-Id"] == world.last_job()


def test_another_refusal_to_show_the_job_keeps_its_words(world: World) -> None:
    world.theeye.fault("read", Reply(403, {"message": "no", "stack": "x"}), times=1)
    got = world.post()
    assert error_of(got, 403, "")["value"] == {"message": "no"}
    assert got.headers["X-Job-Id"] == world.last_job()


# -- odd documents ----------------------------------------------------------------------------------------


def ended(output: bytes) -> bytes:
    """Return an ended job with this output, as TheEye might send it."""
    return b'{"lifecycle":"finished","state":"success","output":' + output + b"}"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b'{"lifecycle":"finished","state":"success"}', b"null"),
        *((ended(output), output) for output in (b"null", b'{"a":[1]}', b'"text"', b"[]")),
        (ended(b'["x",NaN,-Infinity]'), b'["x",null,null]'),
        (ended(b'["\\ud800","\xed\xa0\x80"]'), b'["\\ud800","\\ud800"]'),
        (ended(b'["' + b"[" * 50_000 + b'"]'), b'["' + b"[" * 50_000 + b'"]'),
        (ended(b"[" + b"7" * 5000 + b"]"), b'["' + b"7" * 5000 + b'"]'),
        (ended(b"[1e999]"), b'["1e999"]'),
    ],
    ids=["missing", "null", "object", "string", "empty", "nan", "surrogates", "deep-text", "5000-digits", "1e999"],
)
def test_an_odd_output_is_answered(raw: bytes, body: bytes, world: World) -> None:
    world.theeye.task(raw=raw)
    for mode in ("", "?parse"):
        got = world.post(mode)
        assert (got.status_code, got.data) == (200, body)
        assert got.headers["X-Job-Id"] == world.last_job()


def test_all_digits_of_a_number_arrive_in_every_mode(world: World) -> None:
    digits = b"1234567890" * 500
    world.theeye.task(raw=ended(b'["' + digits + b'"]')[:-1] + b',"result":{"n":' + digits + b"}}")
    assert digits in world.post("?full").data
    assert digits in world.post("?result").data
    parsed = world.post("?parse")
    assert parsed.status_code == 200
    assert digits in parsed.data


UNREADABLE = {
    "cut": ended(b"[" * 100_000)[:MAX_JOB],
    "deep": ended(b"[" * 40_000 + b"]" * 40_000),
    "empty": b"",
    "array": b"[]",
    "null": b"null",
    "string": b'"finished"',
    "not-utf8": b"\xff\xfe",
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_document_that_cannot_be_read_is_504_with_the_jobs_id(raw: bytes, world: World) -> None:
    world.theeye.task(raw=raw)
    got = world.post("?wait=0.05")
    error = error_of(got, 504, "ETIMEISUP")
    assert error["job"]["id"] == got.headers["X-Job-Id"] == world.last_job()


@pytest.mark.parametrize("lifecycle", [["finished"], {}, None, 5, "FINISHED", "done", ""], ids=repr)
def test_a_lifecycle_that_is_none_of_the_ended_ones_is_504(lifecycle: Any, world: World) -> None:
    world.theeye.task(raw=dumps({"lifecycle": lifecycle, "state": "success", "output": []}))
    got = world.post("?wait=0.05")
    assert error_of(got, 504, "ETIMEISUP")["job"]["id"] == got.headers["X-Job-Id"]
    assert "X-Job-Lifecycle" not in got.headers


@pytest.mark.parametrize("state", [b"null", b"{}", b'""', b"5"])
def test_a_state_that_is_no_word_is_500_and_stands_in_no_header(state: bytes, world: World) -> None:
    world.theeye.task(raw=b'{"lifecycle":"finished","output":[],"state":' + state + b"}")
    got = world.post()
    assert (got.status_code, got.data) == (500, b"[]")
    assert got.headers["X-Job-Lifecycle"] == "finished"
    assert "X-Job-State" not in got.headers


@pytest.mark.parametrize(
    ("job_id", "shown"),
    [
        ("../../beta", "../../beta"),
        ("a/b?c#d", "a/b?c#d"),
        ("se\xf1al \r\nX: y", "se%C3%B1al%20%0D%0AX:%20y"),
        ("%2e%2e", "%252e%252e"),
        pytest.param("x" * 5000, "x" * 100, id="long"),
        pytest.param("\ud800", "?", id="surrogate"),
    ],
)
def test_an_odd_id_stays_one_segment_and_one_header(job_id: str, shown: str, world: World) -> None:
    document = {"id": job_id, "lifecycle": "finished", "state": "success", "output": [], "task_id": TASK}
    world.warm()
    world.theeye.fault("create", Reply(200, document), times=1)
    world.theeye.fault("any", Reply(200, document), times=1, when=lambda call: call.method == "GET")
    with world.calls() as calls:
        got = world.post()
    assert got.status_code == 200
    assert "X" not in got.headers
    assert calls[-1].path.count("/") == 3
    assert got.headers["X-Job-Id"] == shown


def test_an_odd_id_in_the_place_of_the_answer(world: World) -> None:
    running = {"id": "a/b?c#d \xf1\r\nX: y", "lifecycle": "ready"}
    world.theeye.fault("create", Reply(200, running), times=1)
    got = world.post("?parse=0", Prefer="respond-async")
    assert got.status_code == 202
    assert got.headers["Location"] == f"{JOB}/a%2Fb%3Fc%23d%20%C3%B1%0D%0AX%3A%20y?parse=0"


def test_a_document_that_names_another_id_is_told_under_the_creates(world: World) -> None:
    document = {"id": 7, "lifecycle": "finished", "state": "success", "output": []}
    world.theeye.fault("read", Reply(200, document), times=1)
    got = world.post("?full")
    assert got.get_json()["id"] == got.headers["X-Job-Id"] == world.last_job()


def test_pauses_grow_from_25_ms_to_1_s() -> None:
    pauses = BackOff(*POLLING)
    taken = [pauses.next() for _ in range(30)]
    assert 0.0225 <= taken[0] <= 0.0275
    assert all(0.9 <= pause <= 1.1 for pause in taken[10:])
    assert all(1.3 < later / sooner < 2.0 for sooner, later in pairwise(taken[:8]))
    assert len(set(taken[10:])) > 1, "spread, so that waits do not look in step"


def test_a_request_that_failed_gives_its_place_back(world: World) -> None:
    world.theeye.fault("create", Reply(422, {"message": "no"}), times=3)
    assert [world.post().status_code for _ in range(3)] == [422] * 3
    world.theeye.fault("read", Reply(401, "Unauthorized"), times=3)
    assert [world.post().status_code for _ in range(3)] == [401] * 3
    world.warm()


def test_the_documents_here_are_what_they_seem() -> None:
    assert json.loads(ended(b"[]")) == {"lifecycle": "finished", "state": "success", "output": []}
    assert dumps("\ud800") == b'"\\ud800"'
