"""Test the stand-in on the network and with Redis: connections, restarts, freezing, notifications."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from support.caller import NO_JOB, Caller, ask, listening, raw_get
from support.processes import Redis, read_response
from support.theeye import Gate, Late, Silence, StandIn


def test_a_stop_breaks_what_is_under_way_and_a_start_takes_the_same_port(theeye: StandIn, caller: Caller) -> None:
    for _ in range(2):
        assert caller.profile(headers={"Connection": "close"}).headers["Connection"] == "close"
    assert [call.connection for call in theeye.calls] == [1, 2], "a client may ask for the end of its connection"
    job_id = caller.post().json()["id"]
    port = theeye.port
    theeye.fault("profile", Silence())
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, theeye)
        theeye.wait_for_calls("profile", 3)
        theeye.stop()
        with pytest.raises(ConnectionError):
            answer.result(20)
    assert theeye.open_connections == 0
    with pytest.raises(requests.ConnectionError):
        caller.read(job_id)
    theeye.start()
    assert theeye.port == port
    assert caller.read(job_id).json()["lifecycle"] == "finished"


def test_a_frozen_one_accepts_but_does_and_answers_nothing(theeye: StandIn, caller: Caller) -> None:
    theeye.freeze()
    with pytest.raises(requests.ReadTimeout):
        caller.post(timeout=0.1)
    assert theeye.jobs == {}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, theeye)
        theeye.wait_for_calls("profile", 1)
        assert not answer.done()
        theeye.thaw()
        assert answer.result(20).status == 200
    theeye.wait_for_jobs(1)  # the create was in its queue


def test_idle_connections_are_dropped_and_no_others(theeye: StandIn, caller: Caller) -> None:
    with socket.create_connection(("127.0.0.1", theeye.port), 5) as idle:
        idle.sendall(raw_get(theeye))
        read_response(idle)
        theeye.fault("create", Silence())
        with ThreadPoolExecutor(1) as pool:
            busy = pool.submit(caller.post)
            theeye.wait_for_calls("create", 1)
            assert theeye.drop_idle() == 1
            assert idle.recv(1) == b""
            assert not busy.done()
            theeye.stop()
            with pytest.raises(requests.ConnectionError):
                busy.result(20)


# -- the notifications -------------------------------------------------------------------------------


@pytest.fixture
def publishing(theeye_redis: StandIn) -> Iterator[Caller]:
    with Caller(theeye_redis) as caller:
        yield caller


@pytest.mark.parametrize(("delay", "early"), [(0.02, False), (0, False), (0, True)])
def test_the_end_of_a_job_is_published(
    theeye_redis: StandIn,
    publishing: Caller,
    redis_server: Redis,
    delay: float,
    early: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theeye_redis.task(delay=delay, early=early)
    theeye_redis.fault("create", Late(0.3))
    heard = threading.Event()
    monkeypatch.setattr(Gate, "pause", lambda *_: not early or heard.wait(20))
    with listening(redis_server) as next_message, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(publishing.post)
        message = next_message()
        assert theeye_redis.jobs
        assert not (early and answer.done()), "an early notification comes before the answer"
        heard.set()
        created = answer.result(20).json()
    assert created["lifecycle"] == "ready"
    assert message is not None
    assert message["channel"].decode() == f"5e0000000000000000000001:job-finished:{created['id']}"
    data = json.loads(message["data"])
    assert (data["topic"], data["data"]["model_id"]) == ("job-finished", created["id"])
    assert (data["data"]["organization"], data["data"]["model_type"]) == ("acme", "ScriptJob")
    with pytest.raises(ValueError, match="early needs delay=0"):
        theeye_redis.task(early=True, delay=1)


def test_lost_garbled_and_doubled_notifications(theeye_redis: StandIn, publishing: Caller, redis_server: Redis) -> None:
    theeye_redis.task(notify=False)
    with listening(redis_server, "*") as next_message:
        job_id = publishing.post().json()["id"]
        assert theeye_redis.publish(job_id, channel="odd", payload=b"\xff") == 1
        first = next_message()
        assert first is not None
        assert (first["channel"], first["data"]) == (b"odd", b"\xff"), "the job's own was lost"
        theeye_redis.publish(job_id, times=2)
        pair = [next_message(), next_message()]
    assert pair[0] is not None
    assert pair[0] == pair[1]


def test_nobody_publishes_while_it_is_down(theeye_redis: StandIn, publishing: Caller, redis_server: Redis) -> None:
    theeye_redis.task(delay=None)
    with listening(redis_server) as next_message:
        job_id = publishing.post().json()["id"]
        theeye_redis.stop()
        theeye_redis.finish(job_id)
        theeye_redis.start()
        theeye_redis.publish(NO_JOB)
        message = next_message()
    assert message is not None
    assert message["channel"].decode().endswith(NO_JOB)
    assert theeye_redis.jobs[job_id]["lifecycle"] == "finished"
