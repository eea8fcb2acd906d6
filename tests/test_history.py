"""The history guard: no result is deleted before it was read, whoever creates the newer jobs."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic

import pytest
import requests
from load import Recorder, record
from servers import Redis, Service, wait_until
from standin import TASK, Reply, StandIn

from app.errors import TurnNeverCame
from app.runs.history import HistoryGuard, Limits, Line, LocalLine, Place
from app.runs.history_redis import SharedLine
from app.runs.redis_scripts import PREFIX, Shared
from app.waiter.notifications import RedisNotifications

JOB = f"/acme/task/{TASK}/job"
HEADERS = {"Authorization": "Bearer tok-acme", "Content-Type": "application/json"}


def patience(seconds: float) -> Callable[[], float]:
    deadline = monotonic() + seconds
    return lambda: deadline - monotonic()


@pytest.fixture(params=["one process", "all processes"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    if request.param == "one process":
        yield LocalLine()
        return
    redis_server: Redis = request.getfixturevalue("redis_server")
    redis_server.client().flushall()
    wakeups = RedisNotifications(redis_server.url)
    wakeups.listen()
    yield SharedLine(Shared(redis_server.url), wakeups)


def test_as_many_as_the_limit_are_let_in_and_the_next_waits_for_the_oldest(line: Line) -> None:
    places = [enter(line, 3) for _ in range(3)]
    with pytest.raises(TurnNeverCame):
        line.enter("t", 3, patience(0))
    line.leave("t", places[1])  # not the oldest: the window does not move
    with pytest.raises(TurnNeverCame):
        line.enter("t", 3, patience(0))
    line.leave("t", places[0])  # now the oldest is the third: two more fit
    places += [enter(line, 3) for _ in range(2)]
    with pytest.raises(TurnNeverCame):
        line.enter("t", 3, patience(0))
    for place in places[2:]:
        line.leave("t", place)
    line.leave("t", enter(line, 1))


def enter(line: Line, limit: int) -> str:
    """A place whose create is done at once."""
    place = line.enter("t", limit, patience(0)).name
    line.created("t", place)
    return place


def test_creates_under_way_may_overtake_each_other(line: Line) -> None:
    first, second = (line.enter("t", 3, patience(0)).name for _ in range(2))
    line.created("t", second)
    line.created("t", first)
    line.leave("t", first)  # it may be newer than the second: that has one newer already, and bears one more
    third = enter(line, 3)
    with pytest.raises(TurnNeverCame):
        line.enter("t", 3, patience(0))
    line.leave("t", second)
    enter(line, 3)
    line.leave("t", third)


def test_tasks_do_not_hold_each_other_up(line: Line) -> None:
    first = line.enter("a", 1, patience(0)).name
    second = line.enter("b", 1, patience(0)).name
    line.leave("a", first)
    line.leave("b", second)


def test_first_come_first_served(line: Line) -> None:
    held = line.enter("t", 1, patience(0)).name
    order: list[int] = []
    entered = threading.Semaphore(0)

    def caller(number: int) -> None:
        place = line.enter("t", 1, patience(20)).name
        order.append(number)
        line.leave("t", place)
        entered.release()

    with ThreadPoolExecutor(5) as pool:
        running = []
        for number in range(5):
            running.append(pool.submit(caller, number))
            wait_for_queue(line, number + 1)
        line.leave("t", held)
        for one in running:
            one.result(20)
    assert order == [0, 1, 2, 3, 4]


def wait_for_queue(line: Line, length: int) -> None:
    """Until so many stand in the queue of task `t`."""
    deadline = monotonic() + 10
    while queue_length(line) < length:
        assert monotonic() < deadline
        threading.Event().wait(0.005)


def queue_length(line: Line) -> int:
    if isinstance(line, LocalLine):
        return len(line._tasks["t"].queue)
    assert isinstance(line, SharedLine)
    return int(line._shared._client.zcard(f"{PREFIX}:{{t}}:queue"))


def test_who_gives_up_does_not_block_the_queue(line: Line) -> None:
    held = line.enter("t", 1, patience(0)).name
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(line.enter, "t", 1, patience(0.2))
        wait_for_queue(line, 1)
        second = pool.submit(line.enter, "t", 1, patience(20))
        with pytest.raises(TurnNeverCame):
            first.result(10)
        line.leave("t", held)
        line.leave("t", second.result(10).name)


def test_a_dead_process_leaves_its_places_to_expire(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    redis_server.client().flushall()
    monkeypatch.setattr("app.runs.history_redis.LEASE_SECONDS", 0.5)
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 1000)  # as good as dead
    dead, alive = (SharedLine(Shared(redis_server.url), RedisNotifications(redis_server.url)) for _ in range(2))
    dead.enter("t", 1, patience(0))
    began = monotonic()
    alive.leave("t", alive.enter("t", 1, patience(10)).name)
    assert monotonic() - began > 0.4


def test_places_are_renewed_while_their_process_lives(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    redis_server.client().flushall()
    monkeypatch.setattr("app.runs.history_redis.LEASE_SECONDS", 0.6)
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 0.1)
    holder, other = (SharedLine(Shared(redis_server.url), RedisNotifications(redis_server.url)) for _ in range(2))
    held = holder.enter("t", 1, patience(0)).name
    with pytest.raises(TurnNeverCame):
        other.enter("t", 1, patience(1.5))
    holder.leave("t", held)


def test_without_redis_the_shared_line_lets_everybody_in(redis_server: Redis) -> None:
    line = SharedLine(Shared("redis://127.0.0.1:1"), RedisNotifications(redis_server.url))
    for _ in range(10):
        line.leave("t", enter(line, 1))


def test_an_enter_is_one_round_trip_and_so_is_a_leave(redis_server: Redis) -> None:
    client = redis_server.client()
    line = SharedLine(Shared(redis_server.url), RedisNotifications(redis_server.url))
    line.leave("warm", line.enter("warm", 5, patience(0)).name)
    before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    place = line.enter("t", 5, patience(0)).name
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
    line.leave("t", place)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 2


def test_a_create_that_started_nothing_is_no_newer_job(line: Line) -> None:
    slow = enter(line, 3)
    for _ in range(5):
        line.leave("t", line.enter("t", 3, patience(0)).name, nothing_started=True)
    others = [enter(line, 3) for _ in range(2)]
    with pytest.raises(TurnNeverCame):
        line.enter("t", 3, patience(0))
    for place in (slow, *others):
        line.leave("t", place)


def test_places_that_redis_forgot_are_told_again(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    client = redis_server.client()
    client.flushall()
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 0.05)
    holder, other = (SharedLine(Shared(redis_server.url), RedisNotifications(redis_server.url)) for _ in range(2))
    held = holder.enter("t", 1, patience(0)).name
    client.flushall()
    wait_until(lambda: client.zscore(f"{PREFIX}:{{t}}:unread", held) is not None, 5, "the place's return")
    with pytest.raises(TurnNeverCame):
        other.enter("t", 1, patience(0))
    holder.leave("t", held)
    other.leave("t", other.enter("t", 1, patience(5)).name)


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


def test_an_unguarded_task_stands_in_no_line() -> None:
    class NoLine:
        def enter(self, task: str, limit: int, left: Callable[[], float]) -> Place:
            raise AssertionError

        def created(self, task: str, place: str) -> None:
            raise AssertionError

        def leave(self, task: str, place: str, nothing_started: bool = False) -> None:
            raise AssertionError

    guard = HistoryGuard(Limits(enough=10), (NoLine(),))
    guard.limits.learn("t", {"autoremove_completed_jobs_limit": 10})
    with guard.turn("t", patience(0)) as turn:
        assert turn.queued == 0


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
