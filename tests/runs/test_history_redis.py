"""Test the queue of all processes: one call to Redis, and the slots of a process or a Redis that has gone."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from support.processes import Redis, wait_until
from support.slots import is_full, slot_of_a_job, within

from app import Settings
from app.errors import NoFreeSlot
from app.runs.history import HistoryGuard
from app.runs.history_redis import PARTS, RedisQueue
from app.runs.redis_scripts import RedisScripts
from app.services import _history_guard
from app.waiter.redis_names import PREFIX
from app.waiter.redis_notifications import RedisNotifications


def two_queues(redis_server: Redis) -> tuple[RedisQueue, RedisQueue]:
    """Return the queues of two processes, both empty."""
    redis_server.client().flushall()
    url = redis_server.url
    first, second = (RedisQueue(RedisScripts(url), RedisNotifications(url)) for _ in range(2))
    return first, second


def test_a_dead_process_leaves_its_slots_to_expire(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runs.history_redis.LEASE_SECONDS", 0.5)
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 1000)  # as good as dead
    dead, alive = two_queues(redis_server)
    began = monotonic()
    dead.acquire("t", 1, within(0))
    alive.release("t", alive.acquire("t", 1, within(10)).id)
    assert monotonic() - began > 0.4


def test_slots_are_renewed_while_their_process_lives(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runs.history_redis.LEASE_SECONDS", 2.0)
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 0.1)
    holder, other = two_queues(redis_server)
    held = holder.acquire("t", 1, within(0)).id
    with pytest.raises(NoFreeSlot):
        other.acquire("t", 1, within(3))
    holder.release("t", held)


def test_without_redis_the_redis_queue_lets_everybody_in(redis_server: Redis) -> None:
    queue = RedisQueue(RedisScripts("redis://127.0.0.1:1"), RedisNotifications(redis_server.url))
    for _ in range(10):
        queue.release("t", slot_of_a_job(queue, 1))


def test_an_acquire_is_one_round_trip_and_so_is_a_release() -> None:
    def scripts_run() -> int:
        return int(redis.client().info("commandstats")["cmdstat_evalsha"]["calls"])

    with Redis() as redis:  # of its own: applications of other tests merge their durations in the shared one
        queue, _ = two_queues(redis)
        queue.release("warm", queue.acquire("warm", 5, within(0)).id)
        before = scripts_run()
        slot = queue.acquire("t", 5, within(0)).id
        assert scripts_run() == before + 1
        queue.release("t", slot)
        assert scripts_run() == before + 2


def test_slots_that_redis_lost_are_restored(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runs.history_redis.RENEW_SECONDS", 0.05)
    (holder, other), client = two_queues(redis_server), redis_server.client()
    held = holder.acquire("t", 1, within(0)).id
    client.flushall()
    wait_until(lambda: client.zscore(f"{PREFIX}:{{t}}:unread", held) is not None, 20, "the slot's return")
    assert is_full(other, 1)
    holder.release("t", held)
    other.release("t", other.acquire("t", 1, within(5)).id)


@pytest.mark.parametrize("evicted", PARTS)
def test_an_evicted_key_is_no_failure_for_others(evicted: str, redis_server: Redis) -> None:
    (holder, other), client = two_queues(redis_server), redis_server.client()
    held = holder.acquire("t", 1, within(0)).id
    with ThreadPoolExecutor(1) as pool:
        queued = pool.submit(other.acquire, "t", 1, within(30))
        wait_until(lambda: bool(queued.done() or client.zcard(f"{PREFIX}:{{t}}:queue")), 30, "the queue")
        client.delete(f"{PREFIX}:{{t}}:{evicted}")
        holder.release("t", held)
        other.release("t", queued.result(30).id)
    assert not holder._scripts.is_down
    assert not other._scripts.is_down


def guard_of_a_process(url: str) -> HistoryGuard:
    notifications = RedisNotifications(url)
    notifications.listen()
    guard = _history_guard(Settings(), RedisScripts(url), notifications)
    guard.limits.learn("t", {"autoremove_completed_jobs_limit": 1})
    return guard


def test_callers_of_several_processes_are_served_in_the_order_of_their_arrival(redis_server: Redis) -> None:
    client = redis_server.client()
    client.flushall()
    guards = [guard_of_a_process(redis_server.url) for _ in range(3)]
    served: list[int] = []

    def call(number: int, guard: HistoryGuard) -> None:
        with guard.protect("t", within(30)) as protection:
            served.append(number)
            protection.created()

    with ThreadPoolExecutor(9) as pool, guards[0].protect("t", within(30)):
        for number, process in enumerate((0, 0, 0, 1, 2, 0, 1, 2, 0)):
            pool.submit(call, number, guards[process])
            arrived = number + 1
            wait_until(lambda n=arrived: client.zcard(f"{PREFIX}:{{t}}:queue") == n, 15, f"{arrived} in the queue")
    assert served == [*range(9)]
