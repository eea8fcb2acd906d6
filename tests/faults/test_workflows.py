"""Test the faults of the other drills with workflows of two steps."""

import time
from collections.abc import Iterator

import pytest
from support.load import CALL_SECONDS, Fleet, Recorder, fleet, settle, why_not_unknown
from support.processes import Redis, wait_until
from support.theeye import CloseAfter, CloseBefore, Drip, HalfBody, Html, Reply, Reset, Silence
from support.workflows import FIRST, SECOND, WORKFLOW_JOB

MANY = 50


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as server:  # of the test's own, which may kill it
        yield server


@pytest.fixture
def theeye(redis: Redis) -> Iterator[Recorder]:
    with Recorder(redis.url) as theeye:
        yield theeye


@pytest.fixture
def services(theeye: Recorder, redis: Redis) -> Iterator[Fleet]:
    with fleet(theeye, redis.url, call_timeout=CALL_SECONDS) as services:
        services.warm()
        yield services


def take(theeye: Recorder, seconds: float = 0.5, notify: bool = True, version: int = 2) -> None:
    """Set the seconds that each of the two steps takes."""
    for task_id in (FIRST, SECOND):
        theeye.task(task_id, delay=seconds, notify=notify)
    theeye.workflow(notify=notify, version=version)


def test_nothing_is_broken(theeye: Recorder, services: Fleet) -> None:
    take(theeye)
    settle("Workflows of two steps: no fault", theeye, services.send(MANY, target=WORKFLOW_JOB))


def test_notifications_dropped(theeye: Recorder, services: Fleet) -> None:
    take(theeye, notify=False)
    settle("Workflows: all notifications dropped", theeye, services.send(MANY, target=WORKFLOW_JOB))


def test_a_workflow_that_never_says_that_it_has_ended(theeye: Recorder, services: Fleet) -> None:
    take(theeye, version=1)
    settle("Workflows of the first version, which tell of no end", theeye, services.send(MANY, target=WORKFLOW_JOB))


def test_redis_dies_between_the_steps(theeye: Recorder, services: Fleet, redis: Redis) -> None:
    take(theeye, 1.0)
    loads = services.park(MANY, target=WORKFLOW_JOB)
    redis.kill()
    settle("Workflows: Redis killed while the first step runs", theeye, loads)


def test_the_supervisor_is_down_while_a_step_ends(theeye: Recorder, services: Fleet) -> None:
    take(theeye, 1.0)
    known = len(theeye.ended_at)
    loads = services.park(MANY, target=WORKFLOW_JOB)
    theeye.stop()
    ended = known + 2 * MANY * len(loads)  # of each run the first step and the workflow's own job are noted
    wait_until(lambda: len(theeye.ended_at) >= ended, 20, "the ends of the first steps")
    theeye.start()
    settle("Workflows: supervisor down while the first step ends", theeye, loads)


ODD = [Reply(500, {}), Html(200), HalfBody(), Drip(1.0), Silence(5), CloseBefore(), Reset()]


def test_looks_at_the_steps_that_fail_in_every_way(theeye: Recorder, services: Fleet) -> None:
    take(theeye)
    for fault in ODD:
        theeye.fault("workflow_jobs", fault, times=MANY // len(ODD))
    words = "Workflows: looks at the steps: 500, HTML, half a body, 1 byte/s, nothing for 5 s, closed, reset"
    settle(words, theeye, services.send(MANY, target=WORKFLOW_JOB))


def test_a_create_whose_answer_is_lost(theeye: Recorder, services: Fleet) -> None:
    take(theeye)
    theeye.fault("workflow_create", CloseAfter())
    asked = time.monotonic()
    words = "Workflows: the create's answer lost: EOUTCOMEUNKNOWN, no second create"
    settle(words, theeye, services.send(MANY, target=WORKFLOW_JOB), why_not_unknown, asked)


def test_sigterm_while_the_steps_run(theeye: Recorder, services: Fleet) -> None:
    take(theeye, 1.0)
    loads = services.park(MANY, target=WORKFLOW_JOB)
    for service in services.values():
        service.terminate()
    settle("Workflows: SIGTERM while the first step runs", theeye, loads)
