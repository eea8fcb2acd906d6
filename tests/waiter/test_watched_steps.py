"""Test waits for workflows that are notified of every end, of some, or of none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from support.client import post
from support.processes import Redis, user_of, wait_until
from support.theeye import StandIn
from support.workflows import FIRST, SECOND, THIRD, WORKFLOW_JOB

from app import Services
from app.checks.refusals import RIGHTS
from app.services import EXTENSION
from app.waiter import pauses
from app.waiter.redis_names import WORKFLOW_CHANGED, WORKFLOW_FINISHED


@pytest.fixture
def redis_app(
    make_app: Callable[..., Flask], theeye_redis: StandIn, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> Flask:
    """Return an application in front of `theeye_redis`, whose waits look only after a notification."""
    monkeypatch.setattr(pauses, "SAFETY", (1000.0, 1000.0))
    url = theeye_redis.url
    return make_app(redis_url=redis_server.url, gateway_url=url, supervisor_url=url, history_guard=False)


def step_ends(theeye: StandIn, task_id: str, count: int) -> None:
    """End the only step of this task, in the run with number `count`."""
    run = theeye.wait_for_jobs(1)[0]
    [step] = [step for step in theeye.wait_for_steps(run, count) if step["task_id"] == task_id]
    theeye.finish(step["id"])


@pytest.mark.parametrize("notify", [True, False])
@pytest.mark.parametrize("version", [2, None])
def test_it_looks_when_a_step_ends(redis_app: Flask, theeye_redis: StandIn, notify: bool, version: int | None) -> None:
    """This holds also if the end of the workflow's own job is not announced, or never set."""
    for task_id in (FIRST, SECOND, THIRD):
        theeye_redis.task(task_id, delay=None)
    theeye_redis.workflow(tasks=[FIRST, SECOND, THIRD], version=version, notify=notify)
    services: Services = redis_app.extensions[EXTENSION]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, redis_app.test_client(), WORKFLOW_JOB)
        for count, task_id in enumerate((FIRST, SECOND, THIRD), 1):
            run = theeye_redis.wait_for_jobs(1)[0]
            step = theeye_redis.wait_for_steps(run, count)[-1]["id"]
            wait_until(lambda step=step: services.waiter._notifications.is_watched(step), 20, "a look that shows it")
            looks = len(theeye_redis.calls_of("workflow_jobs"))
            assert looks <= 4 * count, "a look for each end, and some until the next step is there"
            step_ends(theeye_redis, task_id, count)
        assert answer.result(20).status_code == 200
    assert not services.waiter._notifications._waiting, "nothing of it is watched any more"
    assert not services.waiter._notifications._unheard._found, "the end of a step has told of it"


def test_an_end_before_the_create_was_answered(redis_app: Flask, theeye_redis: StandIn) -> None:
    for task_id in (FIRST, SECOND):
        theeye_redis.task(task_id, early=True)
    theeye_redis.workflow()
    assert post(redis_app.test_client(), WORKFLOW_JOB).status_code == 200


def test_a_user_with_the_rights_of_an_older_version(
    make_app: Callable[..., Flask], theeye_redis: StandIn, redis_server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Such rights lack the channels of workflows."""
    rights = RIGHTS.replace(f" &{WORKFLOW_FINISHED}", "").replace(f" &{WORKFLOW_CHANGED}", "")
    theeye_redis.task(SECOND, delay=0.1)
    theeye_redis.workflow()
    with user_of(redis_server, rights) as url:
        app = make_app(redis_url=url, gateway_url=theeye_redis.url, supervisor_url=theeye_redis.url)
        assert post(app.test_client(), WORKFLOW_JOB).status_code == 200
        services: Services = app.extensions[EXTENSION]
        wait_until(lambda: services.waiter._notifications.live, 30, "the other notifications")
    assert f"Redis refuses the notifications {WORKFLOW_FINISHED}" in caplog.text
