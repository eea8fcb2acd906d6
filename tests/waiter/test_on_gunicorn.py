"""Test the wait on real gunicorn: with notifications and by polling, in both kinds of worker."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.client import error_of
from support.processes import Redis, Service
from support.settings import environment
from support.theeye import ACME, JOB, Exchange, StandIn
from support.world import World, only_job, over_http

from app.waiter.pauses import POLLING

BY_NOTIFICATION = [("gevent", True), ("gthread", True)]
BY_POLLING = [("gevent", False), ("gthread", False)]


def variant_id(variant: tuple[str, bool]) -> str:
    return f"{variant[0]}-{'notified' if variant[1] else 'polling'}"


by_notification = pytest.mark.parametrize("shared_world", BY_NOTIFICATION, indirect=True, ids=variant_id)
by_polling = pytest.mark.parametrize("shared_world", BY_POLLING, indirect=True, ids=variant_id)


@pytest.fixture(scope="module", params=BY_NOTIFICATION + BY_POLLING, ids=variant_id)
def shared_world(request: pytest.FixtureRequest, redis_server: Redis) -> Iterator[World]:
    worker, notified = request.param
    with StandIn(redis_url=redis_server.url) as theeye:
        settings = {"redis_url": redis_server.url if notified else "", "wait_seconds": 30, "max_waiting": 2}
        with Service(environment(theeye, **settings), worker=worker) as service:
            yield World(theeye, over_http(service.url), notified)


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """Return the shared world, reset."""
    shared_world.theeye.heal()
    shared_world.theeye.task(output=['{"a":1}'])
    yield shared_world
    shared_world.theeye.heal()


# -- what ends a wait -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_a_job_that_ends_ends_the_wait(delay: float, world: World) -> None:
    world.theeye.task(output=['{"a":1}'], delay=delay)
    began = time.monotonic()
    got = world.post()
    took = time.monotonic() - began
    assert (got.status_code, got.get_json()) == (200, ['{"a":1}'])
    assert delay <= took < 20, "neither before the job's end nor only at the deadline"


def test_an_end_that_nobody_tells_is_found_at_the_deadline_at_the_latest(world: World) -> None:
    world.theeye.task(notify=False)  # it ends with the create: nothing but the look at the deadline can find it
    assert world.post("?wait=1").status_code == 200


# -- time is up -----------------------------------------------------------------------------------------


def test_a_job_on_hold_is_504_at_the_deadline(world: World) -> None:
    world.warm()
    world.theeye.task(lifecycle="onhold", state="onhold", notify=False)
    began = time.monotonic()
    got = world.post("?wait=1")
    assert 1 <= time.monotonic() - began < 20
    job_id = world.last_job()
    error = error_of(got, 504, "ETIMEISUP")
    assert error["job"] == {"id": job_id, "lifecycle": "onhold", "state": "onhold"}
    assert error["result_url"] == got.headers["Location"] == f"{JOB}/{job_id}"
    assert "Retry-After" not in got.headers
    assert got.headers["X-Job-Id"] == job_id
    assert not {"X-Job-Lifecycle", "X-Job-State"} & set(got.headers.keys())
    assert world.theeye.jobs[job_id]["lifecycle"] == "onhold", "the job is left alone"


def test_a_job_deleted_meanwhile_is_gone(world: World) -> None:
    with world.parked() as ([job_id], [answer]):
        world.theeye.forget(job_id)
        world.theeye.publish(job_id)
        got = answer.result()
    error = error_of(got, 502, "EJOBGONE")
    assert error["job"]["id"] == got.headers["X-Job-Id"] == job_id


# -- what it costs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delay", "early"), [(0.0, False), (0.4, False), (0.0, True)])
def test_a_warm_request_with_redis_costs_two_calls(delay: float, early: bool, world: World) -> None:
    """This holds also if the end is announced before the create is answered."""
    world.warm()
    world.theeye.task(delay=delay, early=early)
    with world.calls() as calls:
        assert world.post().status_code == 200
    assert not world.notified or only_job(calls) == ["create", "read"]


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


@dataclass(frozen=True)
class EndsMeanwhile:
    """Show the job as it runs; before that arrives, end it and publish its end."""

    theeye: StandIn
    job_id: str

    def play(self, exchange: Exchange) -> bool:
        running = exchange.carry_out()
        self.theeye.finish(self.job_id)
        self.theeye.publish(self.job_id)  # in this thread
        return exchange.reply(running)


@by_notification
def test_a_message_about_a_job_that_goes_on_makes_one_look(world: World) -> None:
    """The end is told before the first of the quick looks that follow, 25 ms later."""
    world.warm()
    with world.parked() as ([job_id], [answer]), world.calls() as calls:
        world.theeye.fault("read", EndsMeanwhile(world.theeye, job_id), times=1)
        world.theeye.publish(job_id)
        assert answer.result(20).status_code == 200
    assert [call.kind for call in calls] == ["read", "read"]


@by_polling
def test_polling_asks_for_the_lifecycle_in_growing_pauses_and_reads_once(world: World) -> None:
    world.warm()
    before = len(world.theeye.calls_of("lifecycle"))
    with world.parked() as ([job_id], [answer]), world.calls() as calls:
        looks = [call.at for call in world.theeye.wait_for_calls("lifecycle", before + 6)[before:]]
        world.theeye.finish(job_id)
        assert answer.result().status_code == 200
    assert only_job(calls)[-1] == "read"
    assert set(only_job(calls)[:-1]) == {"lifecycle"}
    pauses = [POLLING[0] * 1.6**number for number in range(1, 6)]
    assert looks[5] - looks[0] > sum(pauses) / 2, "a busy machine may have seen the first one late"


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
        assert world.ask("GET", "/healthz").status_code == 200
        for job_id in job_ids:
            world.theeye.finish(job_id)
        assert [answer.result().status_code for answer in answers] == [200, 200]
    world.warm()
