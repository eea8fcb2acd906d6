"""Test what /readyz reports: ready, degraded, stopping."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.health import GATEWAY, READY, REDIS, STARTING, SUPERVISOR, Parts, assembled
from support.processes import wait_until
from support.theeye import TASK


def test_what_is_down_is_named_until_it_is_back(parts: Parts) -> None:
    parts.becomes(*READY)
    parts.gateway.stop()
    parts.becomes(200, {"status": "ready", "degraded": [GATEWAY]})
    parts.supervisor.stop()
    parts.becomes(503, {"status": "unreachable", "degraded": [SUPERVISOR, GATEWAY]})
    parts.supervisor.start()
    parts.becomes(200, {"status": "ready", "degraded": [GATEWAY]})
    parts.gateway.start()
    parts.becomes(*READY)


@pytest.mark.parametrize(
    ("query", "status"),
    [("?local=1", 200), ("?local", 200), ("?a=1&local=yes", 200), ("?local=0", 503), ("?loca=1", 503)],
)
def test_local_tells_of_this_process_only(parts: Parts, query: str, status: int) -> None:
    parts.becomes(*READY)
    parts.supervisor.stop()
    down = {"status": "unreachable", "degraded": [SUPERVISOR]}
    parts.becomes(503, down)
    assert parts.ready(query) == (status, down)
    parts.services.stop()
    assert parts.ready("?local=1")[0] == 503


def test_a_redis_that_hangs_delays_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        assembled(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}") as parts,
    ):
        assert parts.ready() == parts.ready("?local=1") == STARTING
        assert " INFO    503 GET " in capfd.readouterr().out, "to start is no failure"
        parts.becomes(200, {"status": "ready", "degraded": [REDIS]})


@pytest.mark.parametrize(("guard", "spans"), [(True, "one process"), (False, "off")])
def test_whom_the_history_guard_holds_back(guard: bool, spans: str) -> None:
    with assembled(history_guard=guard) as parts:
        parts.becomes(*READY)
        assert parts.flask.test_client().get("/readyz").get_json()["history_guard"] == spans


def test_stopping_is_503_and_ends_the_looks(parts: Parts) -> None:
    others = threading.enumerate()  # of applications of other tests
    parts.becomes(*READY)
    looking = [thread for thread in threading.enumerate() if "probe" in thread.name and thread not in others]
    assert looking
    parts.services.stop()
    wait_until(lambda: not any(thread.is_alive() for thread in looking), 20, "their end")
    assert parts.ready() == (503, {"status": "stopping", "degraded": []})
    assert parts.flask.test_client().get("/healthz").status_code == 200, "and yet it is alive"


def test_stopping_ends_the_waits_in_time() -> None:
    with assembled(wait_seconds=20, grace_seconds=0.1) as parts:
        parts.supervisor.task(delay=None)
        token = {"Authorization": "Bearer tok-acme"}
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(parts.flask.test_client().post, f"/acme/task/{TASK}/job", headers=token)
            parts.supervisor.wait_for_jobs(1)
            began = time.monotonic()
            parts.services.stop()
            got = answer.result(10)
        assert time.monotonic() - began < 15, "the wait is 20 s"
        assert (got.status_code, got.get_json()["code"]) == (504, "ETIMEISUP")
        assert got.get_json()["job"]["id"] in parts.supervisor.jobs
