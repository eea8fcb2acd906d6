"""Test faults of the notifications: lost, early and odd ones, and a Redis that dies, freezes, or never existed."""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from support.load import WORKERS, Fleet, Load, Recorder, fleet, get, settle
from support.processes import Redis, wait_until

from app.waiter.redis_notifications import RedisNotifications
from app.waiter.wakers import Reason

CARRIED = "the service polls TheEye"
BATCH = 300
WAITS = {"gevent": int(os.environ.get("DRILL_WAITS", BATCH)), "gthread": BATCH}  # 3,000 threads choke two cores


@pytest.fixture
def redis_server() -> Iterator[Redis]:
    with Redis() as server:  # of the test's own, which may kill it
        yield server


@pytest.fixture
def redis(redis_server: Redis) -> Redis:
    return redis_server


def wait_for_listeners(redis: Redis, count: int) -> None:
    client = redis.client()
    wait_until(lambda: len(client.client_list(_type="pubsub")) == count, 30, f"{count} subscriptions")


def wait_for_readiness(services: Fleet, redis: bool) -> None:
    """Wait until `readyz` of each service reports that Redis is up, or is not."""
    for worker in services:
        wait_until(lambda worker=worker: says_redis_is_there(services, worker) is redis, 60, f"readyz of {worker}")


def says_redis_is_there(services: Fleet, worker: str) -> bool:
    return "redis" not in str(get(services[worker], "/readyz").body["degraded"])


# -- notifications ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WORKERS)
def test_500_tasks_that_end_before_their_create_is_answered(kind: str, redis: Redis, theeye: Recorder) -> None:
    theeye.task(early=True)
    with fleet(theeye, redis.url, kinds=[kind]) as services:
        services.warm()
        settle("500 tasks end before their create is answered", theeye, services.send(500))


def test_notifications_dropped(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=1.0, notify=False)
    settle("all notifications dropped", theeye, services.send(200))


def test_odd_notifications(theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=2.5)
    loads = services.park(200)
    mine = list(theeye.jobs)
    for job in mine:
        theeye.publish(job, payload=b"\xff{garbled", times=2)
    for job in mine[:10]:
        theeye.publish(job, payload="x" * 1_000_000)
    for number in range(12_000):
        theeye.publish(f"5f{number:022x}")
    for channel in ("job-finished", ":job-finished:", "x:job-finished:\xf1"):
        theeye.publish(mine[0], channel=channel)
    theeye.wait_for_ended(400)
    for job in mine:
        theeye.publish(job, times=2)
    settle("notifications too soon, doubled, garbled, 1 MB long, 12 000 for other jobs", theeye, loads)
    assert all(CARRIED not in service.log_text() for service in services.values())
    assert all("Traceback" not in service.log_text() for service in services.values())


# -- Redis -----------------------------------------------------------------------------------------------------


def parked_for(seconds: float, theeye: Recorder, services: Fleet) -> dict[str, Load]:
    """Park 100 waits in each service, whose jobs end after some seconds."""
    theeye.task(delay=seconds)
    return services.park(100)


def test_redis_killed_and_restarted(redis: Redis, theeye: Recorder, services: Fleet) -> None:
    during, after = parked_for(1.0, theeye, services), parked_for(3.0, theeye, services)
    redis.kill()
    wait_for_readiness(services, redis=False)
    wait_until(lambda: all(CARRIED in service.log_text() for service in services.values()), 20, "the log lines")
    theeye.wait_for_ended(200)
    redis.start()
    settle("Redis killed, the jobs end while it is down", theeye, during)
    wait_for_readiness(services, redis=True)
    wait_for_listeners(redis, 2)
    settle("Redis killed, the jobs end after its restart", theeye, after)


@pytest.mark.parametrize("kind", WORKERS)
def test_redis_cut_while_many_wait(kind: str, redis: Redis, theeye: Recorder) -> None:
    bound = WAITS[kind] // 60  # looks a second; with none, each wait looks once in it
    settings = {"max_waiting": WAITS[kind] + 1, "max_looks": bound, "wait_seconds": 300}
    with fleet(theeye, redis.url, kinds=[kind], **settings) as services:
        services.warm()
        theeye.task(delay=None)
        loads = [services.park(BATCH) for _ in range(WAITS[kind] // BATCH)]
        cut = time.monotonic()
        redis.kill()
        theeye.wait_for_calls("lifecycle", looks_since(theeye, 0) + 2 * bound)
        redis.start()
        wait_for_listeners(redis, 1)
        theeye.wait_for_calls("lifecycle", looks_since(theeye, 0) + 3 * bound)
        looked, seconds = looks_since(theeye, cut), time.monotonic() - cut
        for job in theeye.jobs:
            theeye.finish(job)
        for load in loads:
            settle("Redis killed and started while many wait", theeye, load)
    assert looked <= bound * (seconds + 1), f"in {seconds} s"


def looks_since(theeye: Recorder, moment: float) -> int:
    """Return how often the service has looked at a job."""
    return sum(call.at >= moment for kind in ("lifecycle", "read") for call in theeye.calls_of(kind))


def test_redis_cuts_the_subscription(redis: Redis, theeye: Recorder, services: Fleet) -> None:
    theeye.task(delay=1.5)
    loads = services.park(200)
    client = redis.client()
    while len(theeye.ended_at) < 400:
        client.client_kill_filter(_type="pubsub")
        time.sleep(0.05)
    settle("Redis cuts the subscription 20 times a second", theeye, loads)


def test_redis_frozen_until_all_are_answered(redis: Redis, theeye: Recorder, services: Fleet) -> None:
    first, last = parked_for(0.5, theeye, services), parked_for(8.0, theeye, services)
    redis.freeze()
    theeye.task(delay=0.5)
    settle("Redis frozen, requests that come meanwhile", theeye, services.send(50))
    settle("Redis frozen, the jobs end at once", theeye, first)
    settle("Redis frozen, the jobs end after 8 s", theeye, last)
    redis.thaw()
    wait_for_listeners(redis, 2)
    wait_for_readiness(services, redis=True)


def test_redis_down_at_start() -> None:
    redis = Redis()
    try:
        with Recorder(redis.url) as theeye, fleet(theeye, redis.url) as services:
            theeye.task(delay=1.0)
            settle("Redis down at start", theeye, services.send(200))
            wait_for_readiness(services, redis=False)
            redis.start()
            wait_for_listeners(redis, 2)
            wait_for_readiness(services, redis=True)
    finally:
        redis.close()


def test_redis_wants_a_password_that_we_lack() -> None:
    with Redis(password="secret") as redis, Recorder(redis.url) as theeye, without_password(theeye, redis) as services:
        theeye.task(delay=1.0)
        settle("Redis wants a password that we lack", theeye, services.send(200))
        wait_for_readiness(services, redis=False)
        wait_until(lambda: all(CARRIED in service.log_text() for service in services.values()), 20, "the log lines")
        for service in services.values():
            assert service.log_text().count(CARRIED) == 1, "told once"
            assert "secret" not in service.log_text()


def without_password(theeye: Recorder, redis: Redis) -> AbstractContextManager[Fleet]:
    return fleet(theeye, redis.url.replace(":secret@", ""))


# -- the listener ----------------------------------------------------------------------------------------------


@pytest.fixture
def kill_listener() -> Callable[[], None]:
    """Return a function that ends the listener's thread of this test, at its next step."""
    others = set(threading.enumerate())

    def kill() -> None:
        [thread] = [each for each in set(threading.enumerate()) - others if each.name == "theeye-sync-listener"]
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
        thread.join(20)
        assert not thread.is_alive()

    return kill


@pytest.fixture
def wakeups(redis: Redis, kill_listener: Callable[[], None]) -> Iterator[RedisNotifications]:
    listening = RedisNotifications(redis.url)
    listening.listen()
    assert listening.live
    yield listening
    kill_listener()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_died_is_replaced(
    redis: Redis, wakeups: RedisNotifications, kill_listener: Callable[[], None]
) -> None:
    with wakeups.watch("a1", wakeups.epoch) as told:
        kill_listener()
        assert not wakeups.live, "the waits poll from now on"
        wakeups.listen()
        assert wakeups.live
        assert told.wait(20) == {Reason.MISSED}, "what was missed meanwhile is looked for"
        redis.client().publish("x:job-finished:a1", "{}")
        assert told.wait(20) == {Reason.TOLD}
    wait_for_listeners(redis, 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_all_waits_look_when_the_listener_dies(wakeups: RedisNotifications, kill_listener: Callable[[], None]) -> None:
    with wakeups.watch("a1", wakeups.epoch) as told:
        kill_listener()
        try:
            assert told.wait(20) == {Reason.MISSED}
        finally:
            wakeups.listen()
