"""The ways in which an answer of the stand-in goes wrong."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from support.caller import Caller, ask, raw_get
from support.processes import (
    read_response,
)
from support.theeye import (
    Big,
    CloseAfter,
    CloseBefore,
    Drip,
    HalfBody,
    Html,
    Late,
    Redirect,
    Reply,
    Reset,
    Silence,
    Stack,
    StandIn,
    Verbatim,
)

# -- the faults --------------------------------------------------------------------------------------


def test_a_fault_is_for_its_kind_so_often_and_until_healed(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("profile", Reply(503), times=2)
    theeye.fault("profile", Reply(502), when=lambda call: ("odd", "") in call.query)
    assert [caller.profile().status_code for _ in range(3)] == [503, 503, 200]
    assert caller.profile(params={"odd": ""}).status_code == 502
    assert caller.create().status_code == 200
    theeye.fault("any", Reply(500))
    assert (caller.create().status_code, caller.profile().status_code) == (500, 500)
    theeye.heal()
    assert caller.profile().status_code == 200
    with pytest.raises(ValueError, match="no such kind"):
        theeye.fault("craete", Reply(500))


def test_reply(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("create", Reply(400, {"message": "ñ", "errors": [1]}, {"X-Here": "1"}), times=1)
    answer = caller.create()
    assert (answer.status_code, answer.content) == (400, '{"message":"ñ","errors":[1]}'.encode())
    assert (answer.headers["X-Here"], answer.headers["Content-Type"]) == ("1", "application/json; charset=utf-8")
    theeye.fault("create", Reply(200, b"\xff\x00"), times=1)
    assert caller.create().content == b"\xff\x00"
    assert theeye.jobs == {}


def test_html(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("profile", Html(502))
    answer = caller.profile()
    assert (answer.status_code, answer.headers["Content-Type"], answer.text[:6]) == (502, "text/html", "<html>")


def test_stack(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("create", Stack(500))
    answer = caller.create()
    assert (answer.status_code, answer.json()["statusCode"]) == (500, 500)
    assert "    at " in answer.json()["stack"]


def test_redirect(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("profile", Redirect("http://elsewhere.example/"))
    answer = caller.profile()
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://elsewhere.example/")


def test_verbatim(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("profile", Verbatim(b"SSH-2.0-OpenSSH\r\n"))
    with pytest.raises(requests.ConnectionError):
        caller.profile()


def test_half_body(theeye: StandIn) -> None:
    whole = ask(theeye)
    theeye.fault("profile", HalfBody())
    half = ask(theeye)
    assert (whole.complete, half.complete) == (True, False)
    assert half.header("Content-Length") == str(len(whole.body))
    assert half.body == whole.body[: len(whole.body) // 2]


def test_drip(theeye: StandIn) -> None:
    whole = ask(theeye)
    theeye.fault("profile", Drip(0.0005))
    with socket.create_connection(("127.0.0.1", theeye.port), 5) as sock:
        started = time.monotonic()
        sock.sendall(raw_get(theeye))
        assert sock.recv(1) == b"H"
        with sock.makefile("rb") as stream:
            assert read_response(stream).body == whole.body
    assert time.monotonic() - started >= 0.0005 * len(whole.body)


def test_silence(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("create", Silence(0.1), times=1)
    started = time.monotonic()
    with pytest.raises(requests.ConnectionError):
        caller.create()
    assert time.monotonic() - started >= 0.1
    assert theeye.jobs == {}
    theeye.fault("create", Silence(carried_out=True))
    with pytest.raises(requests.ReadTimeout):
        caller.create(timeout=0.1)
    assert len(theeye.jobs) == 1


@pytest.mark.parametrize(
    ("fault", "jobs"), [(CloseBefore(), 0), (CloseAfter(), 1), (Reset(), 0), (Reset(carried_out=True), 1)]
)
def test_ends_without_an_answer(theeye: StandIn, caller: Caller, fault: Any, jobs: int) -> None:
    theeye.fault("create", fault)
    with pytest.raises(requests.ConnectionError):
        caller.create()
    assert (len(theeye.calls_of("create")), len(theeye.jobs)) == (1, jobs)


@pytest.mark.parametrize(("fault", "is_reset"), [(CloseBefore(), False), (CloseAfter(), False), (Reset(), True)])
def test_a_reset_is_one_and_a_close_is_none(theeye: StandIn, fault: Any, is_reset: bool) -> None:
    theeye.fault("profile", fault)
    with socket.create_connection(("127.0.0.1", theeye.port), 5) as sock:
        sock.sendall(raw_get(theeye))
        if is_reset:
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        else:
            assert sock.recv(1) == b""


def test_late(theeye: StandIn, caller: Caller) -> None:
    theeye.fault("create", Late(0.2))
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(caller.create)
        (job_id,) = theeye.wait_for_jobs(1)
        assert not answer.done(), "carried out at once"
        assert answer.result(20).json()["id"] == job_id
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("chunked", [False, True])
def test_big(theeye: StandIn, caller: Caller, chunked: bool) -> None:
    job_id = caller.create().json()["id"]
    theeye.fault("read", Big(3_000_000, chunked=chunked))
    answer = caller.read(job_id)
    assert len(answer.content) > 3_000_000
    assert answer.json()["id"] == job_id
    assert ("Content-Length" in answer.headers) is not chunked
    assert len({call.connection for call in theeye.calls}) == 1, "the connection can be used again"
