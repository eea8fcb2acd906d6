"""Test that a warm request costs two calls to TheEye and no Redis command, with each kind of worker."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, takewhile

import pytest
from support.load import JOB, WORKERS, ask, put_away, request_bytes, start
from support.processes import Redis, Service
from support.settings import environment
from support.theeye import TASK, StandIn

SLOW, GUARDED = "61f3e937c38201da80f90001", "61f3e937c38201da80f90002"
NOT_A_REQUESTS = {"PSUBSCRIBE", "PING", "PUBLISH"}  # the listener's and TheEye's
BACKGROUND = "theeye-sync:durations:"  # a thread's: at most once in 10 s for a task, however many requests there are


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:  # of its own: every command in it is one of these services'
        yield server


@pytest.fixture(scope="module")
def theeye(redis_server: Redis) -> Iterator[StandIn]:
    with StandIn(redis_url=redis_server.url) as theeye:
        theeye.task(SLOW, delay=0.1)
        theeye.task(GUARDED, history=5)
        yield theeye


@pytest.fixture(scope="module", params=WORKERS)
def service(request: pytest.FixtureRequest, theeye: StandIn, redis_server: Redis) -> Iterator[Service]:
    env = environment(theeye, redis_url=redis_server.url, session_ttl=600)  # on a busy machine they take half a minute
    service = start(env, request.param, workers=1)
    try:
        with redis_server.client().monitor() as monitor:
            run(service, TASK, SLOW, GUARDED)  # session, subscription and history limits are known from now on
            commands = (found["command"] for found in monitor.listen())
            list(islice((one for one in commands if BACKGROUND in one and "WITHSCORES" in one), 3))  # as are durations
        yield service
    finally:
        put_away(service)


def run(service: Service, *tasks: str) -> None:
    """Run all these tasks, up to eight at once."""
    with ThreadPoolExecutor(8) as pool:
        data = [request_bytes(target=JOB.replace(TASK, task)) for task in tasks]
        statuses = [got.status for got in pool.map(lambda one: ask(service, one), data)]
    assert statuses == [200] * len(tasks)


def redis_commands(redis: Redis, service: Service, *tasks: str) -> Counter[str]:
    """Return the Redis commands of these requests."""
    client = redis.client()
    client.ping()  # the greeting of a new connection is not counted
    with redis.client().monitor() as monitor:
        run(service, *tasks)
        client.echo("over")
        commands = takewhile(lambda one: one != "ECHO over", (found["command"] for found in monitor.listen()))
        names = Counter(one.partition(" ")[0].upper() for one in commands if BACKGROUND not in one)
    assert names["PUBLISH"], "TheEye told of no end"
    return Counter({name: calls for name, calls in names.items() if name not in NOT_A_REQUESTS})


def test_two_calls_to_theeye(theeye: StandIn, service: Service) -> None:
    before = len(theeye.calls)
    run(service, *[TASK, SLOW] * 20)
    assert Counter(call.kind for call in theeye.calls[before:]) == {"create": 40, "read": 40}


def test_no_redis_command(service: Service, redis_server: Redis) -> None:
    assert redis_commands(redis_server, service, *[TASK, SLOW] * 20) == {}


def test_a_guarded_task_asks_redis_for_its_turn(service: Service, redis_server: Redis) -> None:
    """This is the one exception, which also shows that the commands of requests are counted."""
    assert redis_commands(redis_server, service, GUARDED)
