"""The wait on real gunicorn: by notification and by polling, in both kinds of worker, the same tests for all."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import requests
from support.processes import Redis, Service
from support.theeye import ACME, JOB, TASK, Big, Call, Html, Reply, StandIn, dumps

from app.waiter.job_waiter import POLLING, _BackOff

WAIT_SECONDS = 1.0
MAX_JOB = 100_000
ENDED = ["finished", "terminated", "canceled", "expired", "completed"]
BY_NOTIFICATION = [("gevent", True), ("gthread", True)]
BY_POLLING = [("gevent", False), ("gthread", False)]


def variant_id(variant: tuple[str, bool]) -> str:
    return f"{variant[0]}-{'notified' if variant[1] else 'polling'}"


by_notification = pytest.mark.parametrize("shared_world", BY_NOTIFICATION, indirect=True, ids=variant_id)
by_polling = pytest.mark.parametrize("shared_world", BY_POLLING, indirect=True, ids=variant_id)


@dataclass(frozen=True)
class World:
    """A service and the TheEye that it stands in front of; `notified`: by Redis."""

    theeye: StandIn
    service: Service
    http: requests.Session
    notified: bool

    def post(self, query: str = "", token: str = "tok-acme", **headers: str) -> requests.Response:
        headers |= {"Authorization": f"Bearer {token}"}
        return self.http.post(f"{self.service.url}{JOB}{query}", json={"task_arguments": [1]}, headers=headers)

    def warm(self) -> None:
        """The session is known and the service is listening."""
        assert self.post().status_code == 200

    @contextmanager
    def parked(self, count: int = 1) -> Iterator[tuple[list[str], list[Future[requests.Response]]]]:
        """Requests whose jobs run until someone ends them: the jobs' ids, and the answers to come."""
        before = len(self.theeye.jobs)
        self.theeye.task(delay=None)
        with ThreadPoolExecutor(count) as pool:
            answers = [pool.submit(self.post) for _ in range(count)]
            job_ids = self.theeye.wait_for_jobs(before + count)[before:]
            self.theeye.task()  # as usual for those that come later
            yield job_ids, answers

    @contextmanager
    def calls(self) -> Iterator[list[Call]]:
        """The calls that TheEye gets in here."""
        calls: list[Call] = []
        before = len(self.theeye.calls)
        yield calls
        calls += self.theeye.calls[before:]


@pytest.fixture(scope="module", params=BY_NOTIFICATION + BY_POLLING, ids=variant_id)
def shared_world(request: pytest.FixtureRequest, redis_server: Redis) -> Iterator[World]:
    worker, notified = request.param
    with StandIn(redis_url=redis_server.url) as theeye:
        env = {
            "SYNC_GATEWAY_URL": theeye.url,
            "SYNC_SUPERVISOR_URL": theeye.url,
            "SYNC_REDIS_URL": redis_server.url if notified else "",
            "SYNC_WAIT_SECONDS": f"{WAIT_SECONDS:g}",
            "SYNC_MAX_JOB": str(MAX_JOB),
            "SYNC_MAX_WAITING": "2",
        }
        with Service(env, worker=worker) as service, requests.Session() as http:
            http.trust_env = False
            http.headers["Connection"] = "close"  # an idle connection would hold up the service's end
            yield World(theeye, service, http, notified)


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """The shared world, as new."""
    shared_world.theeye.heal()
    shared_world.theeye.task(output=['{"a":1}'])
    yield shared_world
    shared_world.theeye.heal()


def error_of(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    """The error body, after a check of its shape."""
    error: dict[str, Any] = response.json()
    assert (response.status_code, error["statusCode"], error["status"]) == (status, status, status), error
    assert error["code"] == code
    assert error["message"]
    return error


def only_job(calls: list[Call]) -> list[str]:
    """The kinds of the calls, without those about the session."""
    return [call.kind for call in calls if call.kind != "profile"]


# -- what ends a wait -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_a_job_that_ends_ends_the_wait(delay: float, world: World) -> None:
    world.theeye.task(output=['{"a":1}'], delay=delay)
    began = time.monotonic()
    got = world.post()
    took = time.monotonic() - began
    assert (got.status_code, got.json()) == (200, ['{"a":1}'])
    assert delay <= took < delay + 0.65, "neither before the job's end nor only at the deadline"


def test_an_end_that_is_told_before_the_create_is_answered(world: World) -> None:
    world.warm()
    world.theeye.task(early=True)
    with world.calls() as calls:
        assert world.post().status_code == 200
    if world.notified:
        assert only_job(calls) == ["create", "read"]


def test_an_end_that_nobody_tells_is_found_at_the_deadline_at_the_latest(world: World) -> None:
    world.theeye.task(delay=0.1, notify=False)
    began = time.monotonic()
    assert world.post().status_code == 200
    assert time.monotonic() - began < WAIT_SECONDS + 0.5


@pytest.mark.parametrize("lifecycle", ENDED)
def test_every_ended_lifecycle_ends_the_wait(lifecycle: str, world: World) -> None:
    world.theeye.task(delay=0.05, lifecycle=lifecycle, state="failure")
    got = world.post()
    assert got.status_code == 500
    assert got.headers["X-Job-Lifecycle"] == lifecycle
    assert got.headers["X-Job-State"] == "failure"
    assert got.headers["X-Job-Id"] == list(world.theeye.jobs)[-1]


# -- time is up -----------------------------------------------------------------------------------------


def test_a_job_on_hold_is_504_at_the_deadline(world: World) -> None:
    world.warm()
    began = time.monotonic()
    with world.parked() as ([job_id], [answer]):
        world.theeye.change(job_id, lifecycle="onhold", state="onhold")
        got = answer.result()
    assert WAIT_SECONDS <= time.monotonic() - began < WAIT_SECONDS + 0.7
    error = error_of(got, 504, "ETIMEISUP")
    assert error["job"] == {"id": job_id, "lifecycle": "onhold", "state": "onhold"}
    assert error["result_url"] == got.headers["Location"] == f"{JOB}/{job_id}"
    assert got.headers["Retry-After"] == "1"
    assert got.headers["X-Job-Id"] == job_id
    assert not {"X-Job-Lifecycle", "X-Job-State"} & got.headers.keys()
    assert world.theeye.jobs[job_id]["lifecycle"] == "onhold", "the job is left alone"


def test_a_job_that_ended_unreadably_has_not_ended(world: World) -> None:
    world.theeye.task(output=['{"a":1}'])
    world.theeye.fault("read", Reply(500, {"message": "x"}))
    error = error_of(world.post("?wait=0.2"), 504, "ETIMEISUP")
    assert error["job"]["id"] == list(world.theeye.jobs)[-1]


@pytest.mark.parametrize("fault", [Html(503), Reply(200, b"<html>"), Reply(429, "slow down")])
def test_a_look_that_fails_in_passing_is_tried_again(fault: Any, world: World) -> None:
    world.theeye.task(output=['{"a":1}'], delay=0.05)
    world.theeye.fault("lifecycle", fault, times=1)
    world.theeye.fault("read", fault, times=1)
    got = world.post()
    assert (got.status_code, got.json()) == (200, ['{"a":1}'])


# -- what else ends a wait --------------------------------------------------------------------------------


def test_a_404_that_is_not_theeyes_does_not_end_the_wait(world: World) -> None:
    world.theeye.task(output=['{"a":1}'], delay=0.3)
    for kind in ("lifecycle", "read"):
        world.theeye.fault(kind, Html(404), times=1)
    got = world.post()
    assert (got.status_code, got.json()) == (200, ['{"a":1}'])


def test_a_job_deleted_meanwhile_is_gone(world: World) -> None:
    with world.parked() as ([job_id], [answer]):
        world.theeye.forget(job_id)
        world.theeye.publish(job_id)
        got = answer.result()
    error = error_of(got, 502, "EJOBGONE")
    assert error["job"]["id"] == got.headers["X-Job-Id"] == job_id


def test_a_token_refused_while_its_job_runs_is_401_and_forgotten(world: World) -> None:
    world.warm()
    with world.calls() as before:
        assert world.post().status_code == 200
    assert [call.kind for call in before if call.kind == "profile"] == [], "the session is remembered"
    world.theeye.fault("read", Reply(401, "Unauthorized"), times=1)
    got = world.post()
    assert (got.status_code, got.content) == (401, b'"Unauthorized"')
    assert got.headers["WWW-Authenticate"] == "Bearer"
    assert got.headers["X-Job-Id"] == list(world.theeye.jobs)[-1]
    with world.calls() as after:
        assert world.post().status_code == 200
    assert after[0].kind == "profile", "and asked about again"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_job_above_the_limit_is_502(chunked: bool, world: World) -> None:
    world.theeye.fault("read", Big(MAX_JOB, chunked), times=1)
    got = world.post()
    error = error_of(got, 502, "EJOBTOOLARGE")
    assert error["job"]["id"] == got.headers["X-Job-Id"] == list(world.theeye.jobs)[-1]


def test_another_refusal_to_show_the_job_keeps_its_words(world: World) -> None:
    world.theeye.fault("read", Reply(403, {"message": "no", "stack": "x"}), times=1)
    got = world.post()
    assert error_of(got, 502, "ESUPERVISOR")["value"] == {"message": "no"}
    assert got.headers["X-Job-Id"] == list(world.theeye.jobs)[-1]


# -- odd documents ----------------------------------------------------------------------------------------


def ended(output: bytes) -> bytes:
    """An ended job with this output, as TheEye might send it."""
    return b'{"lifecycle":"finished","state":"success","output":' + output + b"}"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (ended(b"null"), b"null"),
        (b'{"lifecycle":"finished","state":"success"}', b"null"),
        (ended(b'{"a":[1]}'), b'{"a":[1]}'),
        (ended(b'"text"'), b'"text"'),
        (ended(b"[]"), b"[]"),
        (ended(b"[NaN,-Infinity]"), b"[null,null]"),
        (ended(b'["\\ud800","\xed\xa0\x80"]'), b'["\\ud800","\\ud800"]'),
        (ended(b'["' + b"[" * 50_000 + b'"]'), b'["' + b"[" * 50_000 + b'"]'),
        (ended(b"[" + b"7" * 5000 + b"]"), b'["' + b"7" * 5000 + b'"]'),
        (ended(b"[1e999]"), b'["1e999"]'),
    ],
    ids=["null", "missing", "object", "string", "empty", "nan", "surrogates", "deep-text", "5000-digits", "1e999"],
)
def test_an_odd_output_is_answered(raw: bytes, body: bytes, world: World) -> None:
    world.theeye.task(raw=raw)
    for mode in ("", "?parse"):
        got = world.post(mode)
        assert (got.status_code, got.content) == (200, body)
        assert got.headers["X-Job-Id"] == list(world.theeye.jobs)[-1]


def test_all_digits_of_a_number_arrive_in_every_mode(world: World) -> None:
    digits = b"1234567890" * 500
    world.theeye.task(raw=ended(b'["' + digits + b'"]')[:-1] + b',"result":{"n":' + digits + b"}}")
    assert digits in world.post("?full").content
    assert digits in world.post("?result").content
    parsed = world.post("?parse")
    assert parsed.status_code == 200
    assert digits in parsed.content


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
    assert error["job"]["id"] == got.headers["X-Job-Id"] == list(world.theeye.jobs)[-1]


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
    assert (got.status_code, got.content) == (500, b"[]")
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
    assert got.json()["id"] == got.headers["X-Job-Id"] == list(world.theeye.jobs)[-1]


# -- what it costs ----------------------------------------------------------------------------------------


@by_notification
@pytest.mark.parametrize("delay", [0.0, 0.4])
def test_a_warm_request_with_redis_costs_two_calls(delay: float, world: World) -> None:
    world.warm()
    world.theeye.task(delay=delay)
    with world.calls() as calls:
        assert world.post().status_code == 200
    assert [call.kind for call in calls] == ["create", "read"]


@by_notification
def test_messages_that_mean_nothing_disturb_no_wait(world: World) -> None:
    world.warm()
    with world.parked() as ([job_id], [answer]), world.calls() as calls:
        channel = f"{ACME.customer_id}:job-finished:"
        for other in ("61f42186c38201daffffffff", "", "\xff*[", f"{job_id}:x"):
            assert world.theeye.publish(other, channel + other, payload=b"\xff not JSON {") >= 1
        world.theeye.publish(job_id, f"{ACME.customer_id}:job-crud:{job_id}")
        world.theeye.finish(job_id)
        assert answer.result().status_code == 200
    assert [call.kind for call in calls] == ["read"], "one look, at its own message"


@by_notification
def test_a_message_about_a_job_that_goes_on_makes_one_look(world: World) -> None:
    world.warm()
    with world.parked() as ([job_id], [answer]), world.calls() as calls:
        before = len(world.theeye.calls_of("read"))
        world.theeye.publish(job_id)
        world.theeye.wait_for_calls("read", before + 1)
        world.theeye.finish(job_id)
        assert answer.result().status_code == 200
    assert [call.kind for call in calls] == ["read", "read"]


@by_polling
def test_polling_asks_for_the_lifecycle_in_growing_pauses_and_reads_once(world: World) -> None:
    world.warm()
    world.theeye.task(delay=0.8)
    with world.calls() as calls:
        assert world.post().status_code == 200
    looks = [call.at for call in calls if call.kind == "lifecycle"]
    assert [call.kind for call in calls] == ["create", *["lifecycle"] * len(looks), "read"]
    assert 5 <= len(looks) <= 8
    starts = [calls[0].at, *looks]
    for number, (start, end) in enumerate(zip(starts, looks, strict=False)):
        pause = min(POLLING[0] * 1.6**number, WAIT_SECONDS)
        assert pause * 0.85 <= end - start < pause * 1.1 + 0.2 or end == looks[-1]


def test_pauses_grow_from_25_ms_to_1_s() -> None:
    pauses = _BackOff(*POLLING)
    taken = [pauses.next() for _ in range(30)]
    assert 0.0225 <= taken[0] <= 0.0275
    assert all(0.9 <= pause <= 1.1 for pause in taken[10:])
    assert all(1.3 < later / sooner < 2.0 for sooner, later in pairwise(taken[:8]))
    assert len(set(taken[10:])) > 1, "spread, so that waits do not look in step"


# -- too many ---------------------------------------------------------------------------------------------


def test_a_request_too_many_is_503_and_starts_nothing(world: World) -> None:
    world.warm()
    with world.parked(2) as (job_ids, answers):
        creates = len(world.theeye.calls_of("create"))
        got = world.post()
        error = error_of(got, 503, "EBUSY")
        assert "job" not in error
        assert got.headers["Retry-After"] == "1"
        assert "X-Job-Id" not in got.headers
        assert len(world.theeye.calls_of("create")) == creates
        assert world.http.get(f"{world.service.url}/healthz").status_code == 200
        for job_id in job_ids:
            world.theeye.finish(job_id)
        assert [answer.result().status_code for answer in answers] == [200, 200]
    world.warm()


def test_a_request_that_failed_gives_its_place_back(world: World) -> None:
    world.theeye.fault("create", Reply(422, {"message": "no"}), times=3)
    assert [world.post().status_code for _ in range(3)] == [422] * 3
    world.theeye.fault("read", Reply(401, "Unauthorized"), times=3)
    assert [world.post().status_code for _ in range(3)] == [401] * 3
    world.warm()


def test_the_documents_here_are_what_they_seem() -> None:
    assert json.loads(ended(b"[]")) == {"lifecycle": "finished", "state": "success", "output": []}
    assert dumps("\ud800") == b'"\\ud800"'
