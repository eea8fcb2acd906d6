"""Fill and watch the history guard's queues."""

import threading
from collections.abc import Callable
from time import monotonic

from app.errors import NoFreeSlot
from app.runs.history import Queue
from app.runs.history_local import LocalQueue
from app.runs.history_redis import RedisQueue
from app.waiter.redis_names import PREFIX


def within(seconds: float) -> Callable[[], float]:
    """Return a function that returns the seconds left, counted from now."""
    deadline = monotonic() + seconds
    return lambda: deadline - monotonic()


def slot_of_a_job(queue: Queue, limit: int) -> str:
    """Return a slot whose create is done."""
    slot = queue.acquire("t", limit, within(0)).id
    queue.created("t", slot)
    return slot


def is_full(queue: Queue, limit: int, task: str = "t") -> bool:
    """Return whether no slot is free."""
    try:
        queue.release(task, queue.acquire(task, limit, within(0)).id, nothing_started=True)
    except NoFreeSlot:
        return True
    return False


def wait_for_queue(queue: Queue, length: int) -> None:
    """Wait until the queue of task `t` has this length."""
    deadline = monotonic() + 10
    while queue_length(queue) < length:
        assert monotonic() < deadline
        threading.Event().wait(0.005)


def queue_length(queue: Queue) -> int:
    if isinstance(queue, LocalQueue):
        return len(queue._tasks["t"].queue)
    assert isinstance(queue, RedisQueue)
    return int(queue._scripts._client.zcard(f"{PREFIX}:{{t}}:queue"))
