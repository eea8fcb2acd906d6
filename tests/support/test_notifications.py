"""The stand-in's notifications over Redis."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from support.caller import NO_JOB, Caller, listening
from support.processes import (
    Redis,
)
from support.theeye import (
    TASK,
    Late,
    StandIn,
)

# -- the notifications -------------------------------------------------------------------------------


def test_the_end_of_a_job_is_published(theeye_redis: StandIn, redis_server: Redis) -> None:
    theeye_redis.task(delay=0.02)
    with listening(redis_server) as next_message, closing(Caller(theeye_redis).session) as session:
        created = session.post(f"{theeye_redis.url}/acme/task/{TASK}/job?access_token=tok-acme", timeout=5).json()
        message = next_message()
    assert message is not None
    assert message["channel"].decode() == f"5e0000000000000000000001:job-finished:{created['id']}"
    data = json.loads(message["data"])
    assert (data["topic"], data["data"]["model_id"]) == ("job-finished", created["id"])
    assert (data["data"]["organization"], data["data"]["model_type"]) == ("acme", "ScriptJob")


@pytest.mark.parametrize("early", [False, True])
def test_an_early_notification_comes_before_the_answer(theeye_redis: StandIn, redis_server: Redis, early: bool) -> None:
    theeye_redis.task(early=early)
    theeye_redis.fault("create", Late(0.3))
    caller = Caller(theeye_redis)
    with listening(redis_server) as next_message, caller.session, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(caller.create)
        assert next_message() is not None
        assert theeye_redis.jobs
        if early:
            assert not answer.done()
        assert answer.result(20).json()["lifecycle"] == "ready"


def test_early_is_for_jobs_that_end_at_once(theeye: StandIn) -> None:
    with pytest.raises(ValueError, match="early needs delay=0"):
        theeye.task(early=True, delay=1)


def test_lost_garbled_and_doubled_notifications(theeye_redis: StandIn, redis_server: Redis) -> None:
    theeye_redis.task(notify=False)
    with listening(redis_server, "*") as next_message, closing(Caller(theeye_redis).session) as session:
        job_id = session.post(f"{theeye_redis.url}/acme/task/{TASK}/job", timeout=5).json()["id"]
        assert theeye_redis.publish(job_id, channel="odd", payload=b"\xff") == 1
        first = next_message()
        assert first is not None
        assert (first["channel"], first["data"]) == (b"odd", b"\xff"), "the job's own was lost"
        theeye_redis.publish(job_id, times=2)
        pair = [next_message(), next_message()]
    assert pair[0] is not None
    assert pair[0] == pair[1]


def test_nobody_publishes_while_it_is_down(theeye_redis: StandIn, redis_server: Redis) -> None:
    theeye_redis.task(delay=None)
    with listening(redis_server) as next_message, closing(Caller(theeye_redis).session) as session:
        job_id = session.post(f"{theeye_redis.url}/acme/task/{TASK}/job", timeout=5).json()["id"]
        theeye_redis.stop()
        theeye_redis.finish(job_id)
        theeye_redis.start()
        theeye_redis.publish(NO_JOB)
        message = next_message()
    assert message is not None
    assert message["channel"].decode().endswith(NO_JOB)
    assert theeye_redis.jobs[job_id]["lifecycle"] == "finished"


def test_publishing_needs_a_redis(theeye: StandIn) -> None:
    with pytest.raises(RuntimeError, match="without a Redis"):
        theeye.publish(NO_JOB)
