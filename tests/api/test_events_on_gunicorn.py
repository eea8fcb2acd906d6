"""Test streams on real gunicorn: slots, clients that disconnect, kept connections, the stop of the service."""

import socket
from collections.abc import Callable

import pytest
from support.client import RUN
from support.events import stream_of
from support.processes import Service, read_response, request_bytes, wait_until
from support.theeye import JOB, StandIn
from support.wire import send
from support.workflows import ADMIN, FIRST, SECOND, THIRD, WORKFLOW_JOB


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_a_stream_is_a_wait_like_any(worker: str, theeye: StandIn, service: Callable[..., Service]) -> None:
    running = service(worker, max_waiting=2, grace_seconds=2)
    with socket.create_connection(("127.0.0.1", running.port), 30) as sock:
        for _ in range(2):
            sock.sendall(request_bytes("POST", JOB, RUN, Accept="text/event-stream", Connection="keep-alive"))
            assert b"event: answer" in read_response(sock).body
    theeye.task(delay=None)
    with stream_of(running.url, f"{JOB}?on_disconnect=cancel") as (_, gone):
        next(gone)
    theeye.wait_for_calls("cancel", 1)
    with stream_of(running.url) as (_, first), stream_of(running.url) as (_, second):
        next(first), next(second)
        assert send(running).json()["code"] == "EBUSY"
        running.terminate()
        theeye.finish(list(theeye.jobs)[-2])
        *_, answer = first
        *_, late = second
    assert (answer.data["status"], late.data["statusCode"], late.data["code"]) == (200, 504, "ETIMEISUP")
    assert late.data["job"]["id"] == list(theeye.jobs)[-1]
    assert running.wait() == 0


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_a_workflow_is_a_wait_like_any(worker: str, theeye: StandIn, service: Callable[..., Service]) -> None:
    """A client that hangs up has every branch cancelled, and a stop tells the others where their answer will be."""
    running = service(worker, grace_seconds=1)
    theeye.tokens["tok-acme"] = ADMIN
    for task_id in (SECOND, THIRD):
        theeye.task(task_id, delay=None)
    theeye.workflow(tasks=[FIRST, SECOND, THIRD], edges=[(FIRST, "success", SECOND), (FIRST, "success", THIRD)])
    with socket.create_connection(("127.0.0.1", running.port), 30) as sock:
        sock.sendall(request_bytes("POST", f"{WORKFLOW_JOB}?on_disconnect=cancel", RUN))
        gone = theeye.wait_for_jobs(1)[0]
        theeye.wait_for_steps(gone, 3)
    wait_until(lambda: [step["state"] for step in theeye.steps(gone)[1:]] == ["canceled"] * 2, 30, "both cancelled")
    with stream_of(running.url, WORKFLOW_JOB) as (_, events):
        assert next(events).name == "job"
        theeye.wait_for_jobs(8)
        running.terminate()
        *_, late = events
    assert (late.data["code"], late.data["job"]["id"]) == ("ETIMEISUP", theeye.wait_for_jobs(8)[4])
    assert running.wait() == 0
