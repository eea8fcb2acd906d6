"""Test server-sent events until the answer."""

import base64
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from typing import Any, cast

import pytest
from flask import Flask, got_request_exception
from support.events import Event, stream
from support.processes import Redis, wait_until
from support.theeye import ACME, JOB, Reply, StandIn
from support.world import World, in_process
from werkzeug.test import create_environ
from werkzeug.wsgi import ClosingIterator

from app import Services
from app.runs.history import Limits
from app.waiter import cancellations, job_waiter, pauses

pytestmark = pytest.mark.settings(wait_seconds=30, max_waiting=2)

MODES = ["", "?parse", "?result", "?full", "?response", "?strict"]


def error_in(event: Event, status: int, code: str) -> dict[str, Any]:
    assert event.name == "error"
    assert (event.data["statusCode"], event.data["code"]) == (status, code)
    return dict(event.data)


def test_each_change_is_told_and_the_answer_last(world: World, app: Flask, services: Services) -> None:
    world.theeye.task(delay=None)
    with stream(app) as (got, events):
        assert (got.status_code, got.content_type) == (200, "text/event-stream")
        assert (got.headers["X-Accel-Buffering"], got.headers["Cache-Control"]) == ("no", "no-store")
        job_id = got.headers["X-Job-Id"]
        assert next(events) == Event("job", f"{job_id}:", {"id": job_id, "location": f"{JOB}/{job_id}"})
        for lifecycle in ("ready", "assigned", "started"):
            world.theeye.change(lifecycle=lifecycle)
            assert next(events) == Event("lifecycle", f"{job_id}:{lifecycle}", {"lifecycle": lifecycle})
        assert services.request_slots.in_use == 1, "it holds its slot"
        world.theeye.finish()
        *_, ended, answer = events
        assert (ended.id, answer.name, answer.id) == (f"{job_id}:finished", "answer", f"{job_id}:answer")
        assert (answer.data["status"], answer.data["body"]) == (200, '["{\\"name\\":\\"tomer\\"}"]')
    assert services.request_slots.in_use == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "ended",
    [
        {"output": ['{"a":"\xf1\\u2028","statusCode":201}']},
        {"output": ['{"statusCode":418}'], "state": "failure"},
        {"output": ['{"body":"AP8=","isBase64Encoded":true,"headers":{"Content-Type":"image/png"}}']},
        {"output": ["\xf1\u20ac" * 50_000]},
    ],
    ids=["text", "failure", "bytes", "large"],
)
def test_the_answer_is_that_of_the_plain_request(ended: dict[str, Any], mode: str, world: World, app: Flask) -> None:
    world.theeye.task(**ended)
    with stream(app, JOB + mode) as (got, events):
        *_, answer = events
    plain = world.get(got.headers["X-Job-Id"], mode)
    if answer.name == "error":
        assert answer.data == plain.get_json()
        return
    body = answer.data["body"]
    read = base64.b64decode(body) if answer.data.get("isBase64Encoded") else body.encode()
    assert (answer.data["status"], read) == (plain.status_code, plain.data)
    assert {name: plain.headers[name] for name in answer.data["headers"] if name != "Server-Timing"}.items() <= (
        answer.data["headers"].items()
    )


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (JOB, {"Authorization": "Bearer tok-nobody"}, 401),
        (f"{JOB}?wait=x", {}, 400),
        (JOB, {"Content_Type": "image/png"}, 415),
        (JOB, {"Last_Event_ID": "j:started"}, 400),
        (f"/acme/task/{'0' * 24}/job", {}, 404),
    ],
)
def test_until_there_is_a_job_errors_are_ordinary(
    target: str, headers: dict[str, str], status: int, world: World, app: Flask, services: Services
) -> None:
    before = len(world.theeye.jobs)
    with stream(app, target, **headers) as (got, _):
        assert (got.status_code, got.is_json) == (status, True)
    assert len(world.theeye.jobs) == before
    assert services.request_slots.in_use == 0


def test_what_goes_wrong_later_is_an_event(world: World, app: Flask) -> None:
    world.theeye.task(delay=None)
    with stream(app, f"{JOB}?wait=0.1") as (got, events):
        *_, late = events
        error = error_in(late, 504, "ETIMEISUP")
        assert (late.id, error["job"]["id"]) == ("", got.headers["X-Job-Id"]), "more may come"
    with stream(app) as (got, events):
        next(events)
        world.theeye.forget()
        *_, gone = events
        assert error_in(gone, 502, "EJOBGONE")["job"]["id"] == got.headers["X-Job-Id"]
    with stream(app) as (_, events):
        next(events)
        world.theeye.fault("lifecycle", Reply(401, "Unauthorized"), times=1)
        *_, refused = events
        assert (refused.name, refused.data["message"], refused.data["statusCode"]) == ("error", "Unauthorized", 401)


def test_an_answer_that_cannot_be_made_is_the_last_event(world: World, app: Flask) -> None:
    world.theeye.task(output=["[" + "[1]," * 2_000_000 + "1]"])
    with stream(app, f"{JOB}?parse") as (got, events):
        *_, failed = events
    error_in(failed, 502, "EFORMATTER")
    assert failed.id == f"{got.headers['X-Job-Id']}:answer"


def test_a_bug_is_told_with_the_jobs_id(world: World, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentry listens to Flask's signal."""
    told: list[Exception] = []

    def receive(_: Flask, exception: Exception) -> None:
        told.append(exception)

    got_request_exception.connect(receive, app)
    world.theeye.task(delay=None)
    with stream(app) as (got, events):
        next(events)
        monkeypatch.setattr(Limits, "learn", lambda *_: 1 / 0)
        world.theeye.finish()
        *_, failed = events
        assert error_in(failed, 500, "EINTERNAL")["job"]["id"] == got.headers["X-Job-Id"]
        assert [type(error.__cause__) for error in told] == [ZeroDivisionError]


def test_who_does_not_wait_gets_the_job_and_202(world: World, app: Flask) -> None:
    for _ in range(3):
        world.post()
    world.theeye.task(delay=None)
    with stream(app, Prefer="respond-async") as (_, events):
        job, ready, accepted = events
    assert job.data["expected_seconds"] == ready.data["expected_seconds"] > 0
    assert (accepted.name, accepted.id, accepted.data["status"]) == ("answer", "", 202)
    assert accepted.data["headers"]["Location"] == job.data["location"]


def test_a_stream_is_taken_up_where_it_was_cut(world: World, app: Flask) -> None:
    job_id = world.start()
    world.theeye.change(lifecycle="started")
    target = f"{JOB}/{job_id}"
    with stream(app, target, "GET", Last_Event_ID=f"{job_id}:started") as (got, events):
        assert got.headers["Cache-Control"] == "no-store"
        assert next(events).name == "job"
        world.theeye.finish()
        assert [event.id for event in events] == [f"{job_id}:finished", f"{job_id}:answer"]
    for path in (job_id, job_id.upper()):  # TheEye reads both
        with stream(app, f"{JOB}/{path}", "GET", Last_Event_ID=f"{job_id}:answer") as (got, _):
            assert (got.status_code, got.data) == (204, b"")


@pytest.mark.parametrize(
    ("method", "accept", "is_stream"),
    [
        ("POST", "text/event-stream", True),
        ("GET", "Text/Event-Stream;charset=utf-8, */*;q=0.1", True),
        ("HEAD", "text/event-stream", False),
        ("GET", "text/event-stream;q=0", False),
        ("POST", "application/json, text/event-stream", False),
        ("POST", "*/*", False),
        ("GET", "*/*, text/event-stream;q=0.5", False),
        ("GET", "*/*, text/event-stream", True),
    ],
)
def test_events_are_for_who_prefers_them(method: str, accept: str, is_stream: bool, world: World, app: Flask) -> None:
    target = JOB if method == "POST" else f"{JOB}/{world.last_job()}"
    with stream(app, target, method, Accept=accept) as (got, _):
        assert (got.content_type == "text/event-stream") is is_stream


@pytest.mark.parametrize("read", [0, 1])
def test_a_client_that_goes_frees_its_slot_and_may_cancel(
    read: int, world: World, app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellations, "GRACE_SECONDS", 0.01)
    world.theeye.task(delay=None)
    headers = {"Accept": "text/event-stream", "Authorization": "Bearer tok-acme"}
    environ = create_environ(f"{JOB}?on_disconnect=cancel", method="POST", headers=headers)
    with closing(cast(ClosingIterator, app(environ, lambda *_: None))) as parts:
        assert len(list(islice(parts, read))) == read
    assert services.request_slots.in_use == 0
    world.theeye.wait_for_calls("cancel", 1)


def test_a_stream_that_a_hook_has_kept_back_is_no_wait_any_more(
    theeye: StandIn, app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellations, "GRACE_SECONDS", 0.01)
    theeye.task(delay=None)
    app.after_request(lambda answer: 1 / 0)
    with stream(app, f"{JOB}?on_disconnect=cancel") as (got, _):
        assert (got.status_code, got.headers["X-Job-Id"]) == (500, list(theeye.jobs)[-1])
    assert services.request_slots.in_use == 0
    theeye.wait_for_calls("cancel", 1)


def test_a_comment_comes_while_nothing_changes(world: World, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_waiter, "BEAT_SECONDS", 0.05)
    world.theeye.task(delay=None)
    with stream(app) as (_, events):
        assert [next(events).name for _ in range(4)] == ["job", "lifecycle", "", ""]


def test_a_key_is_one_run_however_its_requests_are_answered(
    make_app: Callable[..., Flask], theeye_redis: StandIn, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Redis, changes are announced: no pause ends meanwhile. The service listens only while a client watches."""
    monkeypatch.setattr(pauses, "SAFETY", (60.0, 60.0))

    def listens() -> int:
        return int(redis_server.client().pubsub_numpat())

    url = theeye_redis.url
    app = make_app(redis_url=redis_server.url, gateway_url=url, supervisor_url=url)
    world = World(theeye_redis, in_process(app))
    world.warm()
    before = listens()
    theeye_redis.task(delay=None)
    with stream(app, Idempotency_Key="watched") as (got, events):
        next(events), next(events)
        wait_until(lambda: listens() == before + 2, 30, "the subscriptions")  # of tasks and of workflows
        job_id = got.headers["X-Job-Id"]
        theeye_redis.change(lifecycle="started")
        theeye_redis.publish(job_id, f"{ACME.customer_id}:job-crud:{job_id}")
        assert next(events).data["lifecycle"] == "started", "Redis may know of runs of other tests"
        theeye_redis.finish()
        *_, answer = events
        assert world.post(Idempotency_Key="watched").data.decode() == answer.data["body"]
    wait_until(lambda: listens() == before, 30, "no subscription")
