"""The history guard in the service: no result is deleted before it was read, whoever creates the newer jobs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic

import pytest
import requests
from support.health import when_known
from support.load import Recorder, record
from support.processes import Redis, Service
from support.settings import environment
from support.theeye import JOB, StandIn

HEADERS = {"Authorization": "Bearer tok-acme", "Content-Type": "application/json"}


def call(url: str, number: int) -> tuple[int, bool]:
    """One call with an argument of its own: its status, and whether the answer was its own."""
    with requests.Session() as session:
        session.trust_env = False
        got = session.post(url + JOB, json=[number], headers=HEADERS, timeout=60)
        return got.status_code, got.json() == [str(number)]


def three_hundred_calls(theeye: Recorder, services: list[Service]) -> list[tuple[int, bool]]:
    """By 12 parallel callers, of tasks that take from no time to 0.2 s."""
    lengths = [0.0, 0.0, 0.01, 0.05, 0.2]

    def one(number: int) -> tuple[int, bool]:
        theeye.task(delay=lengths[number % 5], history=5)
        return call(services[number % len(services)].url, number)

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
    """300 calls in two services: what cost 44 % of the answers on a real TheEye."""
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
def theeye() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def service(theeye: StandIn) -> Iterator[Service]:
    env = environment(theeye, wait_seconds=10)
    with Service(env, worker="gevent") as running:
        yield running


def test_no_free_slot_in_time_is_503_and_starts_nothing(service: Service, theeye: StandIn) -> None:
    theeye.task(delay=None, history=1)
    with ThreadPoolExecutor(1) as pool:
        before = len(theeye.jobs)
        slow = pool.submit(requests.post, service.url + JOB, json=[1], headers=HEADERS, timeout=60)
        theeye.wait_for_jobs(before + 1)
        late = requests.post(f"{service.url}{JOB}?wait=1", json=[2], headers=HEADERS, timeout=60)
        assert late.status_code == 503
        assert late.json()["code"] == "EHISTORY"
        assert late.headers["Retry-After"]
        assert len(theeye.jobs) == before + 1
        theeye.finish()
        assert slow.result(30).status_code == 200


def test_a_wait_that_is_over_no_longer_holds_the_task_up(service: Service, theeye: StandIn) -> None:
    theeye.task(delay=None, history=1)
    assert requests.post(f"{service.url}{JOB}?wait=1", json=[1], headers=HEADERS, timeout=60).status_code == 504
    theeye.task(delay=0, history=1)
    assert requests.post(service.url + JOB, json=[2], headers=HEADERS, timeout=60).status_code == 200


def test_queueing_is_told_and_advice_is_given_once(service: Service, theeye: StandIn) -> None:
    theeye.task(delay=0.5, history=1)
    with ThreadPoolExecutor(3) as pool:
        answers = list(
            pool.map(lambda n: requests.post(service.url + JOB, json=[n], headers=HEADERS, timeout=60), range(3))
        )
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    timings = sorted(answer.headers.get("Server-Timing", "") for answer in answers)
    assert sorted("queue;dur=" in timing for timing in timings) == [False, True, True]
    assert service.log_text().count("raise its autoremove_completed_jobs_limit") == 1


def test_a_job_that_vanishes_all_the_same_is_502_with_its_id_and_advice(service: Service, theeye: StandIn) -> None:
    theeye.task(delay=None, history=5)
    with ThreadPoolExecutor(1) as pool:
        before = len(theeye.jobs)
        running = pool.submit(requests.post, service.url + JOB, json=[1], headers=HEADERS, timeout=60)
        job_id = theeye.wait_for_jobs(before + 1)[-1]
        theeye.forget(job_id)
        got = running.result(30)
    assert got.status_code == 502
    assert got.json()["code"] == "EJOBGONE"
    assert got.json()["job"]["id"] == got.headers["X-Job-Id"] == job_id
    assert "autoremove_completed_jobs_limit" in got.json()["message"]


def guarded(service: Service) -> object:
    return when_known(lambda: requests.get(f"{service.url}/readyz", timeout=10).json())["history_guard"]


def test_readyz_says_how_far_the_guard_reaches(service: Service) -> None:
    assert guarded(service) == "one process"


def test_the_guard_can_be_turned_off(theeye: StandIn) -> None:
    env = environment(theeye, history_guard=0)
    theeye.task(delay=0, history=5)
    with Service(env, worker="gevent") as off:
        assert requests.post(off.url + JOB, json=[1], headers=HEADERS, timeout=60).status_code == 200
        assert guarded(off) == "off"
