"""The sandbox's notifications, with a real Redis."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from support.sandbox import ECHO, FAILURE, SLEEPER, TIMEOUT, Client, eventually

from sandbox import CUSTOMER_ID, Sandbox


class RedisServer:
    """A redis-server on a free port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        options = f"--port {self.port} --bind 127.0.0.1 --appendonly no --dir {self._folder} --save".split()
        self.process = subprocess.Popen(["redis-server", *options, ""], stdout=subprocess.DEVNULL)
        eventually(self._answers)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def _answers(self) -> bool:
        with suppress(redis.RedisError), closing(redis.Redis.from_url(self.url)) as client:
            return bool(client.ping())
        return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        reason = "redis-server is missing: apt-get install redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    server = RedisServer(tmp_path)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def client(server: RedisServer, tmp_path: Path) -> Iterator[Client]:
    with Sandbox(database=tmp_path / "x", redis_url=server.url) as sandbox, Client(sandbox.url) as client:
        yield client


class Listener:
    """Everything that is published."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self._subscription = self._redis.pubsub()
        self._subscription.psubscribe("*")
        assert self._subscription.get_message(timeout=5) is not None

    def close(self) -> None:
        self._subscription.close()
        self._redis.close()

    def next(self) -> tuple[str, Any]:
        """Return the next channel and message."""
        message = self._subscription.get_message(timeout=10)
        assert message is not None
        return message["channel"].decode(), json.loads(message["data"])


@pytest.fixture
def listener(server: RedisServer) -> Iterator[Listener]:
    with closing(Listener(server.url)) as listener:
        yield listener


@pytest.mark.parametrize(("task", "kind"), [(ECHO, "DummyJob"), (FAILURE, "ScriptJob"), (TIMEOUT, "ScriptJob")])
def test_the_end_of_a_job_is_published_after_it_is_saved(
    client: Client, listener: Listener, task: str, kind: str
) -> None:
    job = client.create(task)
    channel, message = listener.next()
    assert client.lifecycle(job) in ("finished", "terminated")
    assert channel == f"{CUSTOMER_ID}:job-finished:{job}"
    assert isinstance(message.pop("id"), str)
    assert message == {
        "topic": "job-finished",
        "data": {
            "operation": "update",
            "organization": "acme",
            "organization_id": CUSTOMER_ID,
            "model_id": job,
            "model_type": kind,
        },
    }


def test_a_cancel_is_published_once(client: Client, listener: Listener) -> None:
    job = client.create(SLEEPER, 60)
    eventually(lambda: client.lifecycle(job) == "assigned")
    client.call("PUT", f"/acme/job/{job}/cancel")
    after = client.create(ECHO)
    assert [listener.next()[1]["data"]["model_id"] for _ in range(2)] == [job, after]


def test_a_redis_that_is_down_breaks_no_job_and_is_found_again(
    server: RedisServer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.run(ECHO, 1)["state"] == "success"
    server.stop()
    assert client.run(ECHO, 1)["state"] == "success"
    assert client.run(SLEEPER, 0)["state"] == "success"
    assert eventually(lambda: "Redis did not take a notification" in caplog.text)
    server.start()
    with closing(Listener(server.url)) as listener:
        job = client.create(ECHO)
        assert listener.next()[1]["data"]["model_id"] == job


def test_a_frozen_redis_delays_no_job_and_no_stop(server: RedisServer, tmp_path: Path) -> None:
    with Sandbox(database=tmp_path / "y", redis_url=server.url) as sandbox, Client(sandbox.url) as client:
        client.run(ECHO, 0)
        server.process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        for number in range(50):
            assert client.run(ECHO, number)["state"] == "success"
        assert time.monotonic() - begin < 30, "Redis takes a second for each"
    assert time.monotonic() - begin < 40
