"""Test the history guard: which request gets a slot, in what order, and how many slots there are."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.processes import Redis
from support.slots import is_full, slot_of_a_job, wait_for_queue, within

from app.errors import NoFreeSlot
from app.runs.history import CreateSlot, HistoryGuard, Queue
from app.runs.history_limits import Limits
from app.runs.history_local import LocalQueue
from app.runs.history_redis import RedisQueue
from app.runs.redis_scripts import RedisScripts
from app.waiter.redis_notifications import RedisNotifications


@pytest.fixture
def one_process() -> Queue:
    return LocalQueue()


@pytest.fixture
def all_processes(redis_server: Redis) -> Iterator[Queue]:
    redis_server.client().flushall()
    notifications = RedisNotifications(redis_server.url)
    notifications.listen()
    queue = RedisQueue(RedisScripts(redis_server.url), notifications)
    yield queue
    for slot, task in [*queue._tasks.items()]:  # or its thread renews them until the end of the tests
        queue.release(task, slot)


@pytest.fixture(params=["one_process", "all_processes"])
def queue(request: pytest.FixtureRequest) -> Queue:
    found: Queue = request.getfixturevalue(request.param)
    return found


def test_as_many_as_the_limit_are_let_in_and_the_next_waits_for_the_oldest(queue: Queue) -> None:
    slots = [slot_of_a_job(queue, 3) for _ in range(3)]
    assert is_full(queue, 3)
    queue.release("t", slots[1])  # not the oldest: the window does not move
    assert is_full(queue, 3)
    queue.release("t", slots[0])  # now the oldest is the third: two more fit
    slots += [slot_of_a_job(queue, 3) for _ in range(2)]
    assert is_full(queue, 3)
    for slot in slots[2:]:
        queue.release("t", slot)
    queue.release("t", slot_of_a_job(queue, 1))


def test_creates_under_way_may_overtake_each_other(queue: Queue) -> None:
    first, second = (queue.acquire("t", 3, within(0)).id for _ in range(2))
    queue.created("t", second)
    queue.created("t", first)
    queue.release("t", first)  # it may be newer than the second: that has one newer already, and bears one more
    third = slot_of_a_job(queue, 3)
    assert is_full(queue, 3)
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


def test_who_gives_up_does_not_block_the_queue(queue: Queue) -> None:
    held = queue.acquire("t", 1, within(0)).id
    gives_up = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(queue.acquire, "t", 1, lambda: 0 if gives_up.is_set() else 20)
        wait_for_queue(queue, 1)
        second = pool.submit(queue.acquire, "t", 1, within(20))
        wait_for_queue(queue, 2)
        gives_up.set()
        with pytest.raises(NoFreeSlot):
            first.result(10)
        queue.release("t", held)
        queue.release("t", second.result(10).id)


def test_a_request_that_is_interrupted_does_not_block_the_queue(queue: Queue) -> None:
    held = queue.acquire("t", 1, within(0)).id

    def interrupted() -> float:
        raise SystemExit

    with pytest.raises(SystemExit):
        queue.acquire("t", 1, interrupted)
    queue.release("t", held)
    queue.release("t", queue.acquire("t", 1, within(0)).id)


def test_a_slot_that_comes_too_late_is_no_newer_job(queue: Queue) -> None:
    first, second = (slot_of_a_job(queue, 2) for _ in range(2))

    def given_up() -> float:
        queue.release("t", first)
        return 0

    with pytest.raises(NoFreeSlot):
        queue.acquire("t", 2, given_up)
    third = queue.acquire("t", 2, within(0)).id
    for slot in (second, third):
        queue.release("t", slot)


def test_a_create_that_started_nothing_is_no_newer_job(queue: Queue) -> None:
    slow = slot_of_a_job(queue, 3)
    for _ in range(5):
        queue.release("t", queue.acquire("t", 3, within(0)).id, nothing_started=True)
    others = [slot_of_a_job(queue, 3) for _ in range(2)]
    assert is_full(queue, 3)
    for slot in (slow, *others):
        queue.release("t", slot)


def test_an_unguarded_task_stands_in_no_queue() -> None:
    class NoQueue(LocalQueue):
        def acquire(self, task: str, limit: int, left: Callable[[], float]) -> CreateSlot:
            raise AssertionError

        created = release = acquire  # type: ignore[assignment]

    guard = HistoryGuard(Limits(enough=10), (NoQueue(),))
    guard.limits.learn("t", {"autoremove_completed_jobs_limit": 10})
    with guard.protect("t", within(0)) as protection:
        assert protection.queued == 0
