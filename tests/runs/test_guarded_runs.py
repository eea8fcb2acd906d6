"""Test the history guard in the service: no result is deleted before it was read, whatever creates newer jobs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import Any

import pytest
from support.client import error_of
from support.health import when_known
from support.load import RawClient, Recorder, record, request_bytes
from support.processes import Redis, Service
from support.settings import environment
from support.theeye import StandIn
from support.wire import run


def three_hundred_calls(theeye: Recorder, services: list[Service]) -> list[tuple[int, bool]]:
    """Make 300 calls by 12 parallel callers, of tasks up to 0.2 s; return statuses, and if the answers were right.

    Each call has an argument of its own.
    """
    lengths = [0.0, 0.0, 0.01, 0.05, 0.2]

    def one(number: int) -> tuple[int, bool]:
        theeye.task(delay=lengths[number % 5], history=5)
        got = run(services[number % len(services)], body=b"[%d]" % number)
        return got.status, got.json() == [str(number)]

    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(one, range(300)))


@pytest.mark.parametrize(
    ("guard", "drill"),
    [
        ("1", "300 calls by 12 callers of a task that keeps 5 jobs, one gevent and one gthread service"),
        ("0", "the same with `SYNC_HISTORY_GUARD=0`"),
    ],
    ids=["guarded", "unguarded"],
)
def test_no_result_is_lost_to_a_history_of_five(guard: str, drill: str, redis_server: Redis) -> None:
    """Without the guard, 300 calls in two services cost 44 % of the answers on a real TheEye."""
    redis_server.client().flushall()
    with Recorder(redis_url=redis_server.url) as theeye, ExitStack() as stack:
        env = environment(theeye, redis_url=redis_server.url, history_guard=guard)
        services = [stack.enter_context(Service(env, worker=worker)) for worker in ("gevent", "gthread")]
        began = monotonic()
        results = three_hundred_calls(theeye, services)
    right = results.count((200, True))
    record(drill, "both", 300, right, monotonic() - began)
    if guard == "1":
        assert [result for result in results if result != (200, True)] == []
    else:
        assert right < 300, "without the guard nothing was lost: this test shows nothing"


@pytest.fixture(scope="module")
def service(shared_theeye: StandIn) -> Iterator[Service]:
    with Service(environment(shared_theeye, wait_seconds=10)) as running:
        yield running


def test_no_free_slot_in_time_is_503_and_starts_nothing(service: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None, history=1)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(run, service)
        its_theeye.wait_for_jobs(1)
        late = run(service, query="?wait=1")
        error_of(late, 503, "EHISTORY")
        assert late.header("Retry-After")
        assert len(its_theeye.jobs) == 1
        its_theeye.finish()
        assert slow.result(30).status == 200


def test_a_wait_that_is_over_no_longer_holds_the_task_up(service: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None, history=1)
    assert run(service, query="?wait=1").status == 504
    its_theeye.task(delay=0, history=1)
    assert run(service).status == 200


def test_queueing_is_told_and_advice_is_given_once(service: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None, history=1)
    first = RawClient(service, request_bytes())
    its_theeye.wait_for_jobs(1)
    its_theeye.task(history=1)
    others = [RawClient(service, request_bytes()) for _ in range(2)]
    error_of(run(service, query="?wait=0"), 503, "EHISTORY")  # it came after them, so they queue
    its_theeye.finish()
    answers = [client.read() for client in (first, *others)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    timings = [answer.header("Server-Timing") or "" for answer in answers]
    assert sorted("queue;dur=" in timing for timing in timings) == [False, True, True]
    assert service.log_text().count("raise its autoremove_completed_jobs_limit") == 1


def test_a_job_that_vanishes_all_the_same_is_502_with_its_id_and_advice(service: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None, history=5)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, service)
        job_id = its_theeye.wait_for_jobs(1)[-1]
        its_theeye.forget(job_id)
        got = running.result(30)
    error = error_of(got, 502, "EJOBGONE")
    assert error["job"]["id"] == got.header("X-Job-Id") == job_id
    assert "autoremove_completed_jobs_limit" in error["message"]


def ready(service: Service) -> Any:
    return service.ask("GET", "/readyz").json()


def test_readyz_says_how_far_the_guard_reaches(service: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=0, history=5)
    with Service(environment(its_theeye, history_guard=0)) as off:
        assert run(off).status == 200
        for each, reach in ((service, "one process"), (off, "off")):
            assert when_known(partial(ready, each))["history_guard"] == reach
