"""Test looks at jobs: two calls within one deadline, the limit per second, and how notifications count."""

import os
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from time import monotonic, sleep

import pytest
from flask import Flask
from support import theeye as standin
from support.processes import Redis, free_port, wait_until
from support.theeye import Late, Silence, StandIn
from support.world import World, in_process

from app import Services
from app.checks import redis as redis_check
from app.checks.finding import WARN
from app.errors import ClientGone
from app.services import EXTENSION
from app.settings import Settings
from app.theeye.callers import TASK, Caller, Runnable
from app.theeye.runner import TaskRunner
from app.theeye.supervisor import Supervisor
from app.waiter import job_waiter, pauses, wait
from app.waiter import permits as module
from app.waiter.clients import Client, Clients
from app.waiter.following import Follower
from app.waiter.job_waiter import JobWaiter
from app.waiter.notifications import Notifications
from app.waiter.permits import Permits
from app.waiter.redis_names import UNHEARD_NAME
from app.waiter.redis_notifications import WRONG


def test_a_look_of_two_calls_takes_no_longer_than_one(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "LAST_LOOK", 0.1)
    monkeypatch.setattr(job_waiter, "LAST_LOOK", 0.1)
    supervisor = Supervisor(Settings(supervisor_url=theeye.url))
    runner, caller = TaskRunner(supervisor), Caller("acme", "tok-acme", runs=Runnable(TASK, standin.TASK))
    job = runner.create(caller, "", b"[]")
    theeye.fault("lifecycle", Late(0.1))
    theeye.fault("read", Silence())
    deadline = monotonic() + 1
    seen = JobWaiter({TASK: runner}, Notifications(), Clients(), Permits(50)).wait(
        Follower(caller, Client(), deadline), job, 0
    )
    assert seen.id == job.id
    assert len(theeye.calls_of("read")) == 1, "the lifecycle said that it had ended, and the document did not come"
    assert -0.1 < monotonic() - deadline < 8
    supervisor.transport.close()


def test_a_reader_that_goes_while_reads_fail_frees_its_place() -> None:
    supervisor = Supervisor(Settings(supervisor_url=f"http://127.0.0.1:{free_port()}"))
    runners, client = {TASK: TaskRunner(supervisor)}, Client()
    waiter = JobWaiter(runners, Notifications(), Clients(), Permits(50))
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(waiter.fetch, Follower(Caller("acme", "t"), client, monotonic() + 30), "j1")
        client.gone = True
        client.wake()
        with pytest.raises(ClientGone):
            reading.result(20)


# -- how many a second ------------------------------------------------------------------------------------


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> float:
    """Use a shorter period for the limit."""
    monkeypatch.setattr(module, "SECOND", 0.2)
    return module.SECOND


def asked(all_permits: Permits, *priorities: tuple[float, bool]) -> list[tuple[float, bool]]:
    """Ask for permits; return their priorities in the order in which the permits were given."""
    given: queue.SimpleQueue[tuple[float, bool]] = queue.SimpleQueue()
    with ExitStack() as stack:
        permits = [stack.enter_context(all_permits.permit(partial(given.put, each))) for each in priorities]
        all_permits._giving_in = os.getpid()  # as if a thread gave permits: none does before all have asked
        for permit, (last_look, first) in zip(permits, priorities, strict=True):
            permit.ask(last_look, first)
            assert permit.is_asked
        all_permits._giving_in = 0
        all_permits._ensure_giving()
        return [given.get(timeout=30) for _ in priorities]


def test_what_has_ended_goes_first_then_what_is_unseen_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECOND", 0.5)
    permits = Permits(1)
    permits.count()
    assert asked(permits, (3, False), (2, False), (9, True)) == [(9, True), (2, False), (3, False)]


def test_no_second_has_more_looks_than_the_bound(second: float) -> None:
    permits, moments = Permits(5), list[float]()
    with permits.permit(lambda: moments.append(permits._last)) as permit:
        for number in range(15):
            permit.ask(0)
            while not permit.take():
                sleep(0.001)
            assert len(moments) == number + 1
    check_bound(moments, second)


def check_bound(moments: list[float], second: float) -> None:
    for sooner, later in zip(moments, moments[5:], strict=False):
        assert later - sooner >= 0.99 * second


def test_who_leaves_the_queue_takes_no_look() -> None:
    permits = Permits(1)
    permits.count()
    with permits.permit(lambda: pytest.fail("it has gone")) as gone:
        gone.ask(0)
    assert asked(permits, (1, False)) == [(1, False)]


@pytest.mark.settings(wait_seconds=30, max_looks=5)
def test_waits_without_notifications_share_the_bound(
    second: float, world: World, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, give = list[float](), Permits._give
    monkeypatch.setattr(Permits, "_give", lambda *args: (give(*args), given.append(args[0]._last)))
    before = looks(world.theeye)
    with world.parked(15) as (job_ids, answers):
        for job_id in job_ids[:4]:
            world.theeye.finish(job_id)
        wait_until(lambda: sum(answer.done() for answer in answers) >= 2, 60, "answers")
        services.waiter.end_all(0)
        assert {answer.result(60).status_code for answer in answers} == {200, 504}
    check_bound(given, second)
    assert 2 <= looks(world.theeye) - before <= len(given)


def looks(theeye: StandIn) -> int:
    return len([*theeye.calls_of("lifecycle"), *theeye.calls_of("read")])


# -- notifications that come too soon, or never ----------------------------------------------------------


@pytest.fixture
def heard_app(make_app: Callable[..., Flask], theeye_redis: StandIn, redis_server: Redis) -> Flask:
    """Return a service that listens to the Redis of its TheEye."""
    url = theeye_redis.url
    return make_app(redis_url=redis_server.url, gateway_url=url, supervisor_url=url)


@pytest.fixture
def heard(heard_app: Flask, theeye_redis: StandIn) -> World:
    """Return the same service, warm."""
    world = World(theeye_redis, in_process(heard_app), notified=True)
    wait_until(lambda: world.ask("GET", "/readyz").status_code == 200, 30, "ready")
    return world


def test_a_hint_before_the_end_shows_is_followed_by_quick_looks(heard: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "SAFETY", (60.0, 60.0))
    theeye = heard.theeye
    with heard.parked(query="?wait=60") as ([job_id], [answer]):
        theeye.publish(job_id)
        theeye.wait_for_calls("read", 1)
        theeye.wait_for_calls("lifecycle", 3)  # the safety look would be the first, after 60 s
        theeye.finish(job_id)
        assert answer.result(30).status_code == 200


@pytest.mark.parametrize("query", ["?wait=0", "?wait=0.05"])
def test_a_short_wait_ends_with_a_look_too(query: str, heard: World) -> None:
    heard.theeye.task(delay=None)
    with heard.calls() as calls:
        assert heard.post(query).status_code == 504
    assert [call.kind for call in calls if call.kind != "task"][-1] == "read", "it is asked for at once, not in 2 s"


def test_a_redis_that_theeye_does_not_publish_to_is_told(heard: World, redis_server: Redis) -> None:
    def told() -> str:
        return " ".join(heard.ask("GET", "/readyz").get_json()["degraded"])

    heard.theeye.task(notify=False)
    for _ in range(3):  # at the deadline a look finds the end
        assert heard.post("?wait=0.3").status_code == 200
        assert told() == "", "a notification may be late"
    wait_until(lambda: WRONG in told(), 30, "the words")
    client = redis_server.client()
    wait_until(lambda: bool(client.exists(UNHEARD_NAME)), 30, "the note for check")
    [warned] = [found for found in redis_check.findings(Settings(redis_url=redis_server.url)) if found.level == WARN]
    assert WRONG in warned.words
    heard.theeye.publish(heard.last_job())  # it comes late
    wait_until(lambda: told() == "" and not client.exists(UNHEARD_NAME), 30, "that all is well")


def test_a_flush_loses_no_key_while_a_request_waits(
    heard_app: Flask, heard: World, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds also if only a repeated request is left, since the first client has gone."""
    monkeypatch.setattr(pauses, "SAFETY", (60.0, 60.0))
    client = redis_server.client()
    heard.theeye.task(delay=None)
    with ThreadPoolExecutor(1) as pool:
        assert heard.post(Prefer="respond-async", Idempotency_Key="k").status_code == 202
        answer = pool.submit(heard.post, "?wait=120", Idempotency_Key="k")
        services: Services = heard_app.extensions[EXTENSION]
        wait_until(lambda: services.cancellations._notifications.is_watched(heard.last_job()), 30, "the wait")
        client.flushall()
        wait_until(lambda: bool(client.keys("theeye-sync:key:*")), 60, "the key again")
        assert heard.theeye.calls_of("lifecycle") == [], "Redis has told of it, no pause was over"
        assert heard.post("?wait=0", Idempotency_Key="k").headers["X-Job-Id"] == heard.last_job()
        heard.theeye.finish()
        assert answer.result(30).status_code == 200
    assert len(heard.theeye.jobs) == 1
