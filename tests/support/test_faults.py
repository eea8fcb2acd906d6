"""Test that the faults of the stand-in do what their names say."""

import socket
import time
from typing import Any

import pytest
import requests

from support.caller import Caller, ask, raw_get
from support.processes import read_response
from support.theeye import Big, CloseAfter, CloseBefore, Drip, Gate, HalfBody, Late, Reply, Reset, Silence, StandIn


def test_a_fault_is_for_its_kind_so_often_and_until_healed(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("profile", Reply(503), times=2)
    theeye.fault("profile", Reply(502), when=lambda call: ("odd", "") in call.query)
    assert [caller.profile().status_code for _ in range(3)] == [503, 503, 200]
    assert caller.profile(params={"odd": ""}).status_code == 502
    assert caller.post().status_code == 200
    theeye.fault("any", Reply(500))
    assert (caller.post().status_code, caller.profile().status_code) == (500, 500)
    assert len(theeye.jobs) == 1, "a reply does not carry the request out"
    theeye.heal()
    assert caller.profile().status_code == 200
    with pytest.raises(ValueError, match="no such kind"):
        theeye.fault("craete", Reply(500))


def test_half_a_body_and_one_that_drips(theeye: StandIn) -> None:
    whole = ask(theeye)
    theeye.fault("profile", HalfBody(), times=1)
    half = ask(theeye)
    assert (whole.complete, half.complete) == (True, False)
    assert half.header("Content-Length") == str(len(whole.body))
    assert half.body == whole.body[: len(whole.body) // 2]
    theeye.fault("profile", Drip(0.0005))
    with socket.create_connection(("127.0.0.1", theeye.port), 5) as sock:
        started = time.monotonic()
        sock.sendall(raw_get(theeye))
        assert read_response(sock).body == whole.body
    assert time.monotonic() - started >= 0.0005 * len(whole.body)


@pytest.mark.parametrize(
    ("fault", "jobs", "timeout", "least", "error"),
    [
        (CloseBefore(), 0, 20, 0, requests.ConnectionError),
        (CloseAfter(), 1, 20, 0, requests.ConnectionError),
        (Reset(), 0, 20, 0, requests.ConnectionError),
        (Reset(carried_out=True), 1, 20, 0, requests.ConnectionError),
        (Silence(0.1), 0, 20, 0.1, requests.ConnectionError),
        (Silence(carried_out=True), 1, 0.1, 0.1, requests.ReadTimeout),
    ],
    ids=str,
)
def test_no_answer(
    theeye: StandIn, caller: Caller, fault: Any, jobs: int, timeout: float, least: float, error: type[Exception]
) -> None:
    theeye.fault("create", fault, times=1)
    began = time.monotonic()
    with pytest.raises(error) as caught:
        caller.post(timeout=timeout)
    assert time.monotonic() - began >= least
    assert ("ConnectionResetError" in repr(caught.value)) is isinstance(fault, Reset)
    theeye.wait_for_jobs(jobs)  # the client may give up first
    assert (len(theeye.calls_of("create")), len(theeye.jobs)) == (1, jobs)


def test_late(theeye: StandIn, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[tuple[float | None, list[str]]] = []
    monkeypatch.setattr(Gate, "pause", lambda _, seconds: pauses.append((seconds, list(theeye.jobs))))
    theeye.fault("create", Late(0.2))
    job_id = caller.post().json()["id"]
    assert pauses == [(0.2, [job_id])], "carried out at once, answered later"


@pytest.mark.parametrize("chunked", [False, True])
def test_big(theeye: StandIn, caller: Caller, chunked: bool) -> None:
    job_id = caller.post().json()["id"]
    theeye.fault("read", Big(3_000_000, chunked=chunked))
    answer = caller.read(job_id)
    assert len(answer.content) > 3_000_000
    assert answer.json()["id"] == job_id
    assert ("Content-Length" in answer.headers) is not chunked
    assert len({call.connection for call in theeye.calls}) == 1, "the connection can be used again"
