"""Test how long a task's runs take: what is learned, what callers are told, and how processes share it."""

import logging
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic, time

import pytest
from support.client import close_durations, error_of
from support.processes import Redis, wait_until
from support.sockets import serving
from support.theeye import ACME, TASK, StandIn
from support.world import World

from app import Services
from app.errors import Accepted
from app.runs import durations, redis_scripts
from app.runs.durations import Durations
from app.runs.redis_scripts import RedisScripts
from app.theeye import jobs
from app.theeye.jobs import Job

Process = Callable[[str], Durations]
DATES = {"creation_date": "2022-01-28T17:00:00.500Z", "last_update": "2022-01-28T17:00:05.000Z"}


def job(number: object, lifecycle: str | None = "finished", state: str = "success", **document: str) -> Job:
    return Job.of({"id": f"job {number}", "lifecycle": lifecycle, "state": state} | document)


def learn(known: Durations, *seconds: float, first: int = 0) -> None:
    for number, each in enumerate(seconds, first):
        known.learn("acme", TASK, job(number), each)


def expected(known: Durations) -> float | None:
    return known.expected("acme", TASK.upper())


def test_nothing_is_said_before_three_runs() -> None:
    known = Durations(None)
    learn(known, 9, 1)
    assert expected(known) is None
    learn(known, 2, first=2)
    assert expected(known) == 2
    assert known.expected("beta", TASK) is known.expected("acme", "other") is None


@pytest.mark.parametrize(
    ("ended", "seconds", "told"),
    [
        (job(3, "finished", "failure"), 2, 2),
        (job(3, "terminated", "timeout"), 2, 2),
        (job(3, **DATES), None, 4.5),
        (job(3, creation_date="2022-01-28T17:00:00", last_update="2022-01-28T14:00:02.500-03:00"), None, 2.5),
        (job(3, "assigned"), 2, None),
        (job(3, "canceled", "canceled"), 2, None),
        (job(3, "terminated", "canceled"), 2, None),
        (job(3, "terminated", "error"), 2, None),
        (job(3, "canceled", "in_progress"), 2, None),
        (job(3, "terminated", "in_progress"), 2, None),
        (job(1), 2, None),
        (job(3), None, None),
        (job(3, creation_date="yesterday", last_update=DATES["last_update"]), None, None),
        (job(3, creation_date=DATES["creation_date"], last_update=DATES["creation_date"]), None, None),
    ],
)
def test_what_counts_as_a_run(ended: Job, seconds: float | None, told: float | None) -> None:
    known = Durations(None)
    learn(known, 1, 60)
    known.learn("acme", TASK, ended, seconds)
    assert expected(known) == told


def test_the_newest_runs_of_the_tasks_used_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "TASKS", 2)
    known = Durations(None)
    learn(known, *[100.0] * 20, *range(20), first=0)
    known.learn("acme", TASK, job("old", **DATES))  # an old one that is read once more
    assert expected(known) == 9.5
    for task in ("other", "third"):
        known.recall("acme", task)
    assert expected(known) is None


# -- what callers are told --------------------------------------------------------------------------------------------


def expected_of_a_late_run(world: World) -> float | None:
    world.theeye.task(delay=None)
    late = world.post("?wait=0")
    assert "Retry-After" not in late.headers
    seconds: float | None = error_of(late, 504, "ETIMEISUP").get("expected_seconds")
    world.theeye.task()
    return seconds


def test_a_run_teaches_once_and_a_cancelled_one_nothing(world: World, theeye: StandIn) -> None:
    world.post()
    started = world.start()
    theeye.finish(started, **DATES)
    assert expected_of_a_late_run(world) is None, "two runs"
    assert [world.get(started).status_code for _ in range(3)] == [200] * 3
    told = expected_of_a_late_run(world)
    assert told is not None
    assert 0 < told < 4.5
    canceled = world.start()
    assert world.delete(canceled).status_code == 204
    assert world.get(canceled).status_code == 500
    assert expected_of_a_late_run(world) == told


@pytest.mark.parametrize(("seconds", "told"), [(12.3, "13"), (0.2, "1"), (7200.0, "60"), (None, "1")])
def test_retry_after_comes_from_it(
    seconds: float | None, told: str, services: Services, world: World, theeye: StandIn
) -> None:
    theeye.task(history=1)
    world.post()  # the limit is known from now on
    if seconds is not None:
        for number in range(20):
            services.durations.learn(ACME.customer_id, TASK, job(number), seconds)
    with ThreadPoolExecutor(1) as pool:
        theeye.task(delay=None, history=1)
        waiting = pool.submit(world.post, Prefer="respond-async, wait=60")
        wait_until(lambda: theeye.jobs[world.last_job()]["lifecycle"] == "ready", 30, "the job")
        running = world.last_job()
        refused = world.post("?wait=0.1")
        shown = world.get(running, "?wait=0")
        theeye.finish()
        assert waiting.result().status_code == 200
    error_of(refused, 503, "EHISTORY")
    assert (shown.status_code, shown.get_json().get("expected_seconds")) == (202, seconds)
    assert [answer.headers["Retry-After"] for answer in (refused, shown)] == [told, told]


@pytest.mark.parametrize(
    ("running_for", "told"), [(0.0, "13"), (2.5, "10"), (12.2, "1"), (12.3, "13"), (1e9, "13"), (-5.0, "13")]
)
def test_retry_after_is_what_is_left(running_for: float, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time()
    monkeypatch.setattr(jobs, "time", lambda: now)
    created = datetime.fromtimestamp(now - running_for - 0.001, UTC).isoformat()
    running = Job.of({"id": "1", "lifecycle": "assigned", "creation_date": created})
    late = Accepted(running, 0, "/x", expected=12.3)
    assert late.headers["Retry-After"] == told


# -- what processes share ----------------------------------------------------------------------------------------------


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as server:  # of the test's own: other applications merge their durations in the shared one
        yield server


@pytest.fixture
def process() -> Iterator[Process]:
    """Return a function that makes the durations of a process with this Redis; they merge until the test ends."""
    made: list[Durations] = []

    def make(url: str) -> Durations:
        made.append(Durations(RedisScripts(url)))
        return made[-1]

    yield make
    for each in made:
        close_durations(each)


def test_processes_learn_from_each_other_in_the_background(
    redis: Redis, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durations, "MERGE_SECONDS", 0.05)
    one, other = process(redis.url), process(redis.url)
    learn(one, 1, 2)
    learn(other, 8, first=1)  # the job that the first one knows, as another request saw it
    learn(other, 4, first=2)
    wait_until(lambda: expected(one) == expected(other) in (2, 4), 30, "the same in both")
    learn(other, *[5.0] * 30, first=3)
    wait_until(lambda: expected(one) == 5, 30, "the newest")
    monkeypatch.setattr(durations, "MERGE_SECONDS", 600)
    third = process(redis.url)
    third.recall("acme", TASK)
    wait_until(lambda: expected(third) == 5, 30, "what is asked for at once")
    client = redis.client()
    [name] = client.keys("*")
    assert re.fullmatch(b"theeye-sync:durations:[0-9a-f]{64}", name)
    assert client.zcard(name) == 20
    assert 29 < client.ttl(name) / 86400 <= 30


def test_a_task_is_written_at_most_once_in_ten_seconds(redis: Redis, process: Process) -> None:
    known, client = process(redis.url), redis.client()
    client.config_resetstat()
    known.recall("acme", TASK)
    wait_until(lambda: "cmdstat_zrange" in client.info("commandstats"), 30, "the first read")
    began = monotonic()
    for number in range(1000):
        learn(known, 1, first=number)
        known.recall("acme", TASK)
        expected(known)
    assert "cmdstat_zadd" not in client.info("commandstats") or monotonic() - began > durations.MERGE_SECONDS


def test_without_redis_a_process_knows_its_own(
    process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(durations, "MERGE_SECONDS", 0.02)
    monkeypatch.setattr(redis_scripts, "BREAK_SECONDS", 0)
    tried: list[socket.socket] = []
    with serving(tried.append) as port, caplog.at_level(logging.INFO):
        known = process(f"redis://127.0.0.1:{port}")
        learn(known, 1, 2, 3)
        wait_until(lambda: len(tried) > 2, 30, "a few failures")
        assert expected(known) == 2
    assert [record.getMessage()[:23] for record in caplog.records] == ["Redis cannot be reached"]
