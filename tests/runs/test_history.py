"""The history guard: no result is deleted before it was read, whoever creates the newer jobs."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic

import pytest
import requests
from support.load import Recorder, record
from support.processes import Redis, Service, wait_until
from support.theeye import TASK, Reply, StandIn

from app.errors import NoFreeSlot
from app.runs.history import HistoryGuard, Limits, LocalQueue, Queue, Slot
from app.runs.history_redis import RedisQueue
from app.runs.redis_scripts import PREFIX, RedisScripts
from app.waiter.notifications import RedisNotifications

JOB = f"/acme/task/{TASK}/job"
HEADERS = {"Authorization": "Bearer tok-acme", "Content-Type": "application/json"}


def within(seconds: float) -> Callable[[], float]:
    deadline = monotonic() + seconds
    return lambda: deadline - monotonic()


@pytest.fixture(params=["one process", "all processes"])
def queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    if request.param == "one process":
        yield LocalQueue()
        return
    redis_server: Redis = request.getfixturevalue("redis_server")
    redis_server.client().flushall()
    notifications = RedisNotifications(redis_server.url)
    notifications.listen()
    yield RedisQueue(RedisScripts(redis_server.url), notifications)


def test_as_many_as_the_limit_are_let_in_and_the_next_waits_for_the_oldest(queue: Queue) -> None:
    slots = [slot_of_a_job(queue, 3) for _ in range(3)]
    with pytest.raises(NoFreeSlot):
        queue.acquire("t", 3, within(0))
    queue.release("t", slots[1])  # not the oldest: the window does not move
    with pytest.raises(NoFreeSlot):
        queue.acquire("t", 3, within(0))
    queue.release("t", slots[0])  # now the oldest is the third: two more fit
    slots += [slot_of_a_job(queue, 3) for _ in range(2)]
    with pytest.raises(NoFreeSlot):
        queue.acquire("t", 3, within(0))
    for slot in slots[2:]:
        queue.release("t", slot)
    queue.release("t", slot_of_a_job(queue, 1))


def slot_of_a_job(queue: Queue, limit: int) -> str:
    """A slot whose create is done at once."""
    slot = queue.acquire("t", limit, within(0)).id
    queue.created("t", slot)
    return slot


def test_creates_under_way_may_overtake_each_other(queue: Queue) -> None:
    first, second = (queue.acquire("t", 3, within(0)).id for _ in range(2))
    queue.created("t", second)
    queue.created("t", first)
    queue.release("t", first)  # it may be newer than the second: that has one newer already, and bears one more
    third = slot_of_a_job(queue, 3)
    with pytest.raises(NoFreeSlot):
        queue.acquire("t", 3, within(0))
    queue.release("t", second)
    slot_of_a_job(queue, 3)
    queue.release("t", third)


def test_tasks_do_not_hold_each_other_up(queue: Queue) -> None:
    first = queue.acquire("a", 1, within(0)).id
    second = queue.acquire("b", 1, within(0)).id
    queue.release("a", first)
    queue.release("b", second)


def test_first_come_first_served(queue: Queue) -> None:
    held = queue.acquire("t", 1, within(0)).id
    order: list[int] = []

    def caller(number: int) -> None:
        slot = queue.acquire("t", 1, within(20)).id
        order.append(number)
        queue.release("t", slot)

    with ThreadPoolExecutor(5) as pool:
        running = []
        for number in range(5):
            running.append(pool.submit(caller, number))
            wait_for_queue(queue, number + 1)
        queue.release("t", held)
        for one in running:
            one.result(20)
    assert order == [0, 1, 2, 3, 4]


def wait_for_queue(queue: Queue, length: int) -> None:
    """Until so many stand in the queue of task `t`."""
    deadline = monotonic() + 10
    while queue_length(queue) < length:
        assert monotonic() < deadline
        threading.Event().wait(0.005)


def queue_length(queue: Queue) -> int:
    if isinstance(queue, LocalQueue):
        return len(queue._tasks["t"].queue)
    assert isinstance(queue, RedisQueue)
    return int(queue._scripts._client.zcard(f"{PREFIX}:{{t}}:queue"))


def test_who_gives_up_does_not_block_the_queue(queue: Queue) -> None:
    held = queue.acquire("t", 1, within(0)).id
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(queue.acquire, "t", 1, within(0.2))
        wait_for_queue(queue, 1)
        second = pool.submit(queue.acquire, "t", 1, within(20))
        with pytest.raises(NoFreeSlot):
            first.result(10)
        queue.release("t", held)
        queue.release("t", second.result(10).id)


def test_a_dead_process_leaves_its_slots_to_expire(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    redis_server.client().flushall()
    monkeypatch.setattr("app.runs.history_redis.LEASE_SECONDS", 0.5)
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 1000)  # as good as dead
    dead, alive = (RedisQueue(RedisScripts(redis_server.url), RedisNotifications(redis_server.url)) for _ in range(2))
    dead.acquire("t", 1, within(0))
    began = monotonic()
    alive.release("t", alive.acquire("t", 1, within(10)).id)
    assert monotonic() - began > 0.4


def test_slots_are_renewed_while_their_process_lives(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    redis_server.client().flushall()
    monkeypatch.setattr("app.runs.history_redis.LEASE_SECONDS", 0.6)
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 0.1)
    holder, other = (RedisQueue(RedisScripts(redis_server.url), RedisNotifications(redis_server.url)) for _ in range(2))
    held = holder.acquire("t", 1, within(0)).id
    with pytest.raises(NoFreeSlot):
        other.acquire("t", 1, within(1.5))
    holder.release("t", held)


def test_without_redis_the_redis_queue_lets_everybody_in(redis_server: Redis) -> None:
    queue = RedisQueue(RedisScripts("redis://127.0.0.1:1"), RedisNotifications(redis_server.url))
    for _ in range(10):
        queue.release("t", slot_of_a_job(queue, 1))


def test_an_acquire_is_one_round_trip_and_so_is_a_release(redis_server: Redis) -> None:
    client = redis_server.client()
    queue = RedisQueue(RedisScripts(redis_server.url), RedisNotifications(redis_server.url))
    queue.release("warm", queue.acquire("warm", 5, within(0)).id)
    before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    slot = queue.acquire("t", 5, within(0)).id
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
    queue.release("t", slot)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 2


def test_a_create_that_started_nothing_is_no_newer_job(queue: Queue) -> None:
    slow = slot_of_a_job(queue, 3)
    for _ in range(5):
        queue.release("t", queue.acquire("t", 3, within(0)).id, nothing_started=True)
    others = [slot_of_a_job(queue, 3) for _ in range(2)]
    with pytest.raises(NoFreeSlot):
        queue.acquire("t", 3, within(0))
    for slot in (slow, *others):
        queue.release("t", slot)


def test_slots_that_redis_lost_are_restored(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    client = redis_server.client()
    client.flushall()
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 0.05)
    holder, other = (RedisQueue(RedisScripts(redis_server.url), RedisNotifications(redis_server.url)) for _ in range(2))
    held = holder.acquire("t", 1, within(0)).id
    client.flushall()
    wait_until(lambda: client.zscore(f"{PREFIX}:{{t}}:unread", held) is not None, 5, "the slot's return")
    with pytest.raises(NoFreeSlot):
        other.acquire("t", 1, within(0))
    holder.release("t", held)
    other.release("t", other.acquire("t", 1, within(5)).id)


# -- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "limit"),
    [
        ({"autoremove_completed_jobs_limit": 7}, 7),
        ({"task": {"autoremove_completed_jobs_limit": 7}}, 7),
        ({"autoremove_completed_jobs": False, "autoremove_completed_jobs_limit": 7}, None),
        ({"task": {"autoremove_completed_jobs": False}}, None),
        ({"autoremove_completed_jobs_limit": 1000}, None),
        ({"autoremove_completed_jobs_limit": 0}, 1),
        ({"autoremove_completed_jobs_limit": "7"}, 5),
        ({"task": "x"}, 5),
        ({}, 5),
    ],
)
def test_limits_are_learned_from_documents(document: dict[str, object], limit: int | None) -> None:
    limits = Limits(enough=1000)
    limits.learn("t", document)
    assert limits.get("t") == limit


def test_a_limit_follows_the_newest_document() -> None:
    limits = Limits(enough=1000)
    limits.learn("t", {"autoremove_completed_jobs_limit": 5})
    limits.learn("t", {"task": {"autoremove_completed_jobs": False}})
    assert limits.get("t") is None
    limits.learn("t", {"name": "says nothing"})
    assert limits.get("t") is None


def test_an_unguarded_task_stands_in_no_queue() -> None:
    class NoQueue:
        def acquire(self, task: str, limit: int, left: Callable[[], float]) -> Slot:
            raise AssertionError

        def created(self, task: str, slot: str) -> None:
            raise AssertionError

        def release(self, task: str, slot: str, nothing_started: bool = False) -> None:
            raise AssertionError

    guard = HistoryGuard(Limits(enough=10), (NoQueue(),))
    guard.limits.learn("t", {"autoremove_completed_jobs_limit": 10})
    with guard.protect("t", within(0)) as protection:
        assert protection.queued == 0


# -- the service ----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("guard", ["1", "0"], ids=["guarded", "unguarded"])
def test_no_result_is_lost_to_a_history_of_five(guard: str, redis_server: Redis) -> None:
    """300 calls in two services: what cost 44 % of the answers on a real TheEye."""
    redis_server.client().flushall()
    with Recorder(redis_url=redis_server.url) as theeye, ExitStack() as stack:
        env = {
            "SYNC_GATEWAY_URL": theeye.url,
            "SYNC_SUPERVISOR_URL": theeye.url,
            "SYNC_REDIS_URL": redis_server.url,
            "SYNC_HISTORY_GUARD": guard,
        }
        services = [stack.enter_context(Service(env, worker=worker)) for worker in ("gevent", "gthread")]
        began = monotonic()
        results = three_hundred_calls(theeye, services)
    right = results.count((200, True))
    what = "12 callers, two processes, history limit 5" + ("" if guard == "1" else ", the guard off")
    record(what, "both", 12, right, monotonic() - began)
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
    env = {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url, "SYNC_WAIT_SECONDS": "10"}
    with Service(env, worker="gevent") as running:
        yield running


def test_a_turn_that_never_comes_is_503_and_starts_nothing(service: Service, theeye: StandIn) -> None:
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


def test_a_task_that_cannot_be_read_is_guarded_by_the_default(service: Service, theeye: StandIn) -> None:
    other = "61f3e937c38201da80f96c99"
    theeye.task(other, delay=0, history=None)
    theeye.fault("task", Reply(403, "Forbidden"), times=1)
    got = requests.post(f"{service.url}/acme/task/{other}/job", json=[1], headers=HEADERS, timeout=60)
    assert got.status_code == 200


def test_readyz_says_how_far_the_guard_reaches(service: Service) -> None:
    assert requests.get(f"{service.url}/readyz", timeout=10).json()["history_guard"] == "one process"


def test_the_guard_can_be_turned_off(theeye: StandIn) -> None:
    env = {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url, "SYNC_HISTORY_GUARD": "0"}
    before = len(theeye.calls_of("task"))
    theeye.task(delay=0, history=5)
    with Service(env, worker="gevent") as off:
        assert requests.post(off.url + JOB, json=[1], headers=HEADERS, timeout=60).status_code == 200
        assert requests.get(f"{off.url}/readyz", timeout=10).json()["history_guard"] == "off"
    assert len(theeye.calls_of("task")) == before
