"""Test the sandbox's notifications, with a real Redis."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.processes import Redis
from support.sandbox import ECHO, FAILURE, SLEEPER, TIMEOUT, Client, eventually

from sandbox import CUSTOMER_ID, Sandbox

Listener = Callable[[], tuple[str, Any]]


@pytest.fixture
def server() -> Iterator[Redis]:
    """Run a Redis that the test may stop."""
    with Redis() as server:
        yield server


@pytest.fixture
def client(server: Redis, tmp_path: Path) -> Iterator[Client]:
    with Sandbox(database=tmp_path / "x", redis_url=server.url) as sandbox, Client(sandbox.url) as client:
        yield client


@contextmanager
def listening(server: Redis, channels: str = "*:job-finished:*") -> Iterator[Listener]:
    """Yield a function that returns the next channel and message."""
    with server.client().pubsub() as subscription:
        subscription.psubscribe(channels)
        assert subscription.get_message(timeout=20) is not None

        def heard() -> tuple[str, Any]:
            message = subscription.get_message(timeout=10)
            assert message is not None
            return message["channel"].decode(), json.loads(message["data"])

        yield heard


@pytest.fixture
def heard(server: Redis) -> Iterator[Listener]:
    with listening(server) as heard:
        yield heard


@pytest.mark.parametrize(("task", "kind"), [(ECHO, "DummyJob"), (FAILURE, "ScriptJob"), (TIMEOUT, "ScriptJob")])
def test_the_end_of_a_job_is_published_after_it_is_saved(client: Client, heard: Listener, task: str, kind: str) -> None:
    job = client.create(task)
    channel, message = heard()
    assert client.lifecycle(job) in ("finished", "terminated")
    assert channel == f"{CUSTOMER_ID}:job-finished:{job}"
    assert isinstance(message.pop("id"), str)
    data = {"operation": "update", "organization": "acme", "organization_id": CUSTOMER_ID}
    assert message == {"topic": "job-finished", "data": data | {"model_id": job, "model_type": kind}}


@pytest.mark.parametrize(("task", "updates"), [(ECHO, 1), (FAILURE, 2)])
def test_the_changes_of_a_job_are_published_before_its_end(
    server: Redis, client: Client, task: str, updates: int
) -> None:
    """A script is assigned to the agent before it ends; a dummy only ends."""
    with listening(server, "*") as heard:
        job = client.create(task)
        told = [heard() for _ in range(updates + 2)]
    topics = ["job-crud"] * (updates + 1) + ["job-finished"]
    assert [channel for channel, _ in told] == [f"{CUSTOMER_ID}:{topic}:{job}" for topic in topics]
    assert [message["topic"] for _, message in told] == topics
    assert [message["data"]["operation"] for _, message in told] == ["create"] + ["update"] * (updates + 1)


def test_a_cancel_is_published_once(client: Client, heard: Listener) -> None:
    job = client.create(SLEEPER, 60)
    eventually(lambda: client.lifecycle(job) == "assigned")
    client.call("PUT", f"/acme/job/{job}/cancel")
    after = client.create(ECHO)
    assert [heard()[1]["data"]["model_id"] for _ in range(2)] == [job, after]


def test_a_redis_that_is_late_publishes_an_end_once(server: Redis, client: Client, heard: Listener) -> None:
    client.create(ECHO)
    heard()  # it is connected
    server.freeze()
    threading.Timer(1.5, server.thaw).start()
    jobs = [client.create(ECHO) for _ in range(2)]
    assert [heard()[1]["data"]["model_id"] for _ in jobs] == jobs


def test_a_redis_that_is_down_breaks_no_job_and_is_found_again(
    server: Redis, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.run(ECHO, 1)["state"] == "success"
    server.kill()
    assert client.run(ECHO, 1)["state"] == "success"
    assert client.run(SLEEPER, 0)["state"] == "success"
    assert eventually(lambda: "Redis did not take a notification" in caplog.text)
    server.start()
    with listening(server) as heard:
        job = client.create(ECHO)
        assert heard()[1]["data"]["model_id"] == job


def test_a_frozen_redis_delays_no_job_and_no_stop(server: Redis, tmp_path: Path) -> None:
    with Sandbox(database=tmp_path / "y", redis_url=server.url) as sandbox, Client(sandbox.url) as client:
        client.run(ECHO, 0)
        server.freeze()
        begin = time.monotonic()
        for number in range(50):
            assert client.run(ECHO, number)["state"] == "success"
        assert time.monotonic() - begin < 30, "Redis takes five seconds for each"
    assert time.monotonic() - begin < 40
