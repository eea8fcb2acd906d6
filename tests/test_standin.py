"""The test infrastructure itself: the stand-in for TheEye, its faults, and the real processes."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
import requests
from support import processes
from support.processes import (
    CHECKOUT,
    RawResponse,
    Redis,
    Service,
    free_port,
    group_pids,
    raw_request,
    read_response,
    wait_until,
)
from support.theeye import (
    ACME,
    TASK,
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
    Session,
    Silence,
    Stack,
    StandIn,
    Verbatim,
)

OTHER_TASK = "61f3e937c38201da80f96c28"
NO_JOB = "61f42186c38201daffffffff"


class Caller:
    """A keep-alive client of the stand-in with a token."""

    def __init__(self, theeye: StandIn, token: str = "tok-acme") -> None:
        self.theeye = theeye
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        options = {"timeout": 5, "allow_redirects": False} | options
        return self.session.request(method, self.theeye.url + path, **options)

    def profile(self, **options: Any) -> requests.Response:
        return self("GET", "/api/session/profile", **options)

    def create(self, task: str = TASK, **options: Any) -> requests.Response:
        return self("POST", f"/acme/task/{task}/job", **({"json": {"task_arguments": [100]}} | options))

    def read(self, job_id: str, **options: Any) -> requests.Response:
        return self("GET", f"/acme/job/{job_id}", **options)

    def lifecycle(self, job_id: str) -> Any:
        return self("GET", f"/acme/job/{job_id}/lifecycle").json()

    def cancel(self, job_id: str) -> int:
        return self("PUT", f"/acme/job/{job_id}/cancel").status_code


@pytest.fixture
def caller(theeye: StandIn) -> Iterator[Caller]:
    caller = Caller(theeye)
    with caller.session:
        yield caller


@contextmanager
def listening(redis_server: Redis, pattern: str = "*:job-finished:*") -> Iterator[Callable[[], dict[str, Any] | None]]:
    """A subscription whose acknowledgement has come; gives a function for the next message."""
    with redis_server.client().pubsub() as pubsub:
        pubsub.psubscribe(pattern)
        assert pubsub.get_message(timeout=5)["type"] == "psubscribe"
        yield lambda: pubsub.get_message(timeout=2)


def raw_get(theeye: StandIn, path: str = "/api/session/profile", token: str = "tok-acme") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def ask(theeye: StandIn, timeout: float = 5.0) -> RawResponse:
    return raw_request("127.0.0.1", theeye.port, raw_get(theeye), timeout)


# -- the gateway -------------------------------------------------------------------------------------


def test_profile_in_its_long_form(caller: Caller) -> None:
    profile = caller.profile().json()
    assert profile["current_customer"]["id"] == "5e0000000000000000000001"
    assert profile["current_customer"]["name"] == "acme"
    assert profile["customers"] == [{"id": "5e0000000000000000000001", "name": "acme"}]


def test_profile_with_scopes(theeye: StandIn, caller: Caller) -> None:
    scopes = [("scopes[]", "principal"), ("scopes[]", "organization")]
    profile = caller.profile(params=scopes).json()
    assert set(profile) == {"principal", "organization"}
    assert profile["organization"]["id"] == "5e0000000000000000000001"
    theeye.knows_scopes = False
    assert "current_customer" in caller.profile(params=scopes).json()


def test_the_id_scope_never_answers(caller: Caller) -> None:
    with pytest.raises(requests.ReadTimeout):
        caller.profile(params={"scopes[]": "id"}, timeout=0.2)


def test_an_unknown_token_gets_a_stack_trace(theeye: StandIn, caller: Caller) -> None:
    del theeye.tokens["tok-acme"]
    answer = caller.profile()
    assert answer.status_code == 401
    assert "    at " in answer.json()["stack"]


def test_the_token_may_stand_in_the_query(theeye: StandIn) -> None:
    theeye.tokens["tok-new"] = Session("5e0000000000000000000003", "gamma")
    answer = requests.get(f"{theeye.url}/api/session/profile?access_token=tok-new", timeout=5)
    assert answer.json()["current_customer"]["name"] == "gamma"


# -- the supervisor ----------------------------------------------------------------------------------


def test_a_job_has_ended_when_its_create_is_answered(theeye: StandIn, caller: Caller) -> None:
    theeye.task(output=['{"a":1}'], state="failure", extra="field")
    created = caller.create().json()
    assert (created["lifecycle"], created["task_arguments_values"]) == ("ready", [100])
    job = caller.read(created["id"]).json()
    assert (job["lifecycle"], job["state"], job["output"]) == ("finished", "failure", ['{"a":1}'])
    assert (job["extra"], job["customer_id"]) == ("field", ACME.customer_id)
    assert theeye.jobs == {created["id"]: job}


def test_a_job_ends_after_its_delay(theeye: StandIn, caller: Caller) -> None:
    theeye.task(delay=0.15)
    started = time.monotonic()
    job_id = caller.create().json()["id"]
    assert caller.lifecycle(job_id) == "ready"
    assert theeye.wait_for_ended(1) == [job_id]
    assert time.monotonic() - started >= 0.15
    assert caller.lifecycle(job_id) == "finished"


def test_delays_end_in_their_own_order(theeye: StandIn, caller: Caller) -> None:
    theeye.task(delay=30)
    late = caller.create().json()["id"]
    theeye.task(OTHER_TASK, delay=0.05)
    soon = caller.create(OTHER_TASK).json()["id"]
    assert theeye.wait_for_ended(1) == [soon]
    assert caller.lifecycle(late) == "ready"


def test_a_job_without_a_delay_ends_when_told(theeye: StandIn, caller: Caller) -> None:
    theeye.task(delay=None)
    first, second = (caller.create().json()["id"] for _ in range(2))
    theeye.finish(first, state="odd")
    assert caller.read(first).json()["state"] == "odd"
    assert caller.lifecycle(second) == "ready"
    theeye.change(second, lifecycle="assigned")
    assert caller.lifecycle(second) == "assigned"
    theeye.finish()
    assert caller.lifecycle(second) == "finished"


def test_a_given_document_is_served_to_the_byte(theeye: StandIn, caller: Caller) -> None:
    document = {"z": "ñ\u2028\ud800", "n": 12345678901234567890, "lifecycle": "expired", "state": "s", "id": NO_JOB}
    theeye.task(document=document)
    assert caller.create().json()["id"] == NO_JOB
    start = '{"z":"ñ\u2028\\ud800","n":12345678901234567890,"lifecycle":"expired","state":"s","id":"'
    assert caller.read(NO_JOB).content == (start + NO_JOB + '"}').encode()


def test_what_a_given_document_lacks_is_filled_in(theeye: StandIn, caller: Caller) -> None:
    theeye.task(document={"output": None}, state="failure")
    job_id = caller.create().json()["id"]
    filled = {"output": None, "lifecycle": "finished", "state": "failure", "id": job_id}
    assert caller.read(job_id).json() == filled


def test_raw_bytes_are_served_when_the_job_has_ended(theeye: StandIn, caller: Caller) -> None:
    theeye.task(raw=b'{"id": NaN', delay=None)
    job_id = caller.create().json()["id"]
    assert caller.read(job_id).json()["lifecycle"] == "ready"
    theeye.finish(job_id)
    assert caller.read(job_id).content == b'{"id": NaN'
    assert caller.lifecycle(job_id) == "finished"


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", f"/acme/job/{NO_JOB}", 404, "job not found"),
        ("GET", "/acme/job/zz", 400, "job id is invalid"),
        ("GET", f"/nobody/job/{NO_JOB}", 404, "organization not found"),
        ("GET", f"/beta/job/{NO_JOB}", 409, None),
        ("POST", "/acme/task/zz/job", 400, None),
        ("POST", f"/acme/task/{OTHER_TASK}/job", 404, None),
        ("PUT", f"/acme/job/{NO_JOB}/cancel", 404, "job not found"),
        ("GET", "/nope", 404, None),
    ],
)
def test_refusals(caller: Caller, method: str, path: str, status: int, body: str | None) -> None:
    answer = caller(method, path)
    assert answer.status_code == status
    assert body is None or answer.json() == body


def test_the_supervisor_checks_the_token_itself(theeye: StandIn) -> None:
    with closing(Caller(theeye, token="nope").session) as session:
        answer = session.post(f"{theeye.url}/acme/task/{TASK}/job", timeout=5)
    assert (answer.status_code, answer.json()) == (401, "Unauthorized")
    assert theeye.jobs == {}


@pytest.mark.parametrize(
    ("query", "body", "arguments"),
    [
        ("", b'{"task_arguments":[1,null]}', [1, None]),
        ("", b"[1,2]", [1, 2]),
        ("", b'{"a":1}', [{"a": 1}]),
        ("?task_arguments[]=x&task_arguments[]=y", b"", ["x", "y"]),
        ("?a=1&access_token=tok-acme", b"", [{"a": "1"}]),
    ],
)
def test_arguments(caller: Caller, query: str, body: bytes, arguments: list[Any]) -> None:
    answer = caller("POST", f"/acme/task/{TASK}/job{query}", data=body)
    assert answer.json()["task_arguments_values"] == arguments


def test_what_a_caller_must_not_be_able_to_set(theeye: StandIn, caller: Caller) -> None:
    parked = caller("POST", f"/acme/task/{TASK}/job?lifecycle=onhold").json()
    assert caller.lifecycle(parked["id"]) == "onhold"
    assert caller.create(json={"task_arguments": [], "wait_result": True}).status_code == 303


@pytest.mark.parametrize(
    ("before", "after"),
    [("ready", "canceled"), ("onhold", "canceled"), ("assigned", "terminated"), ("locked", "locked")],
)
def test_cancel(theeye: StandIn, caller: Caller, before: str, after: str) -> None:
    theeye.task(delay=None)
    job_id = caller.create().json()["id"]
    theeye.change(job_id, lifecycle=before)
    assert caller.cancel(job_id) == 204
    job = caller.read(job_id).json()
    assert job["lifecycle"] == after
    if before == "locked":
        assert job["state"] == "in_progress"
    else:
        assert job["state"] == "canceled"
        assert json.loads(job["output"][0]) == {"user": {"username": "ada"}}


def test_a_canceled_job_does_not_end_again(theeye: StandIn, caller: Caller) -> None:
    theeye.task(delay=0.05)
    canceled = caller.create().json()["id"]
    assert caller.cancel(canceled) == 204
    theeye.task(delay=0.1)
    caller.create()
    theeye.wait_for_ended(2)
    assert caller.lifecycle(canceled) == "canceled"


def test_the_history_limit_deletes_what_nobody_has_read(theeye: StandIn, caller: Caller) -> None:
    theeye.task(history=2)
    ids = [caller.create().json()["id"] for _ in range(4)]
    assert list(theeye.jobs) == ids[1:], "the limit is applied before the new job is there"
    assert caller.read(ids[0]).status_code == 404
    assert caller("GET", f"/acme/task/{TASK}").json()["autoremove_completed_jobs_limit"] == 2
    assert theeye.jobs[ids[3]]["task"]["autoremove_completed_jobs_limit"] == 2


def test_without_a_history_limit_everything_is_kept(theeye: StandIn, caller: Caller) -> None:
    for _ in range(8):
        caller.create()
    assert len(theeye.jobs) == 8
    task = caller("GET", f"/acme/task/{TASK}").json()
    assert (task["autoremove_completed_jobs"], task["timeout"]) == (False, 600000)


def test_a_forgotten_job_is_gone(theeye: StandIn, caller: Caller) -> None:
    job_id = caller.create().json()["id"]
    theeye.forget(job_id)
    assert caller.read(job_id).status_code == 404


# -- the record --------------------------------------------------------------------------------------


def test_calls_are_recorded_as_they_came(theeye: StandIn, caller: Caller) -> None:
    before = time.monotonic()
    caller("POST", f"/acme/task/{TASK}/job?a=1&a=&b=%C3%B1", data=b'{"x": 1}', headers={"X-Odd": "yes"})
    (call,) = theeye.calls_of("create")
    assert call.target == f"/acme/task/{TASK}/job?a=1&a=&b=%C3%B1"
    assert call.path == f"/acme/task/{TASK}/job"
    assert call.query == [("a", "1"), ("a", ""), ("b", "ñ")]
    assert (call.method, call.body, call.json()) == ("POST", b'{"x": 1}', {"x": 1})
    assert call.headers["x-odd"] == "yes"
    assert before <= call.at <= time.monotonic()


def test_every_kind_of_call_has_its_name(theeye: StandIn, caller: Caller) -> None:
    caller.profile()
    job_id = caller.create().json()["id"]
    caller.read(job_id)
    caller.lifecycle(job_id)
    caller.cancel(job_id)
    caller("GET", f"/acme/task/{TASK}")
    assert [call.kind for call in theeye.calls] == ["profile", "create", "read", "lifecycle", "cancel", "task"]
    assert {call.connection for call in theeye.calls} == {1}, "one kept-alive connection"


def test_waiting_for_calls_and_jobs(theeye: StandIn, caller: Caller) -> None:
    timer = threading.Timer(0.05, caller.create)
    timer.start()
    assert len(theeye.wait_for_calls("create", 1)) == 1
    assert len(theeye.wait_for_jobs(1)) == 1
    timer.join()
    with pytest.raises(AssertionError, match=r"1 any calls after .* s, not 2"):
        theeye.wait_for_calls("any", 2, timeout=0.05)


# -- the network -------------------------------------------------------------------------------------


def test_a_client_may_ask_for_the_end_of_the_connection(theeye: StandIn, caller: Caller) -> None:
    for _ in range(2):
        assert caller.profile(headers={"Connection": "close"}).headers["Connection"] == "close"
    assert [call.connection for call in theeye.calls] == [1, 2]


def test_six_hundred_connections_at_once(theeye: StandIn) -> None:
    with ExitStack() as stack:
        address = ("127.0.0.1", theeye.port)
        socks = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(600)]
        theeye.freeze()
        for sock in socks:
            sock.sendall(raw_get(theeye))
        theeye.wait_for_calls("profile", 600)
        assert theeye.open_connections == 600
        theeye.thaw()
        for sock in socks:
            with sock.makefile("rb") as stream:
                assert read_response(stream).status == 200


def test_restart_on_the_same_port(theeye: StandIn, caller: Caller) -> None:
    job_id = caller.create().json()["id"]
    port = theeye.port
    theeye.stop()
    assert theeye.open_connections == 0
    with pytest.raises(requests.ConnectionError):
        caller.read(job_id)
    theeye.start()
    assert theeye.port == port
    assert caller.read(job_id).json()["lifecycle"] == "finished"


def test_a_stop_breaks_what_is_under_way(theeye: StandIn) -> None:
    theeye.fault("profile", Silence())
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, theeye)
        theeye.wait_for_calls("profile", 1)
        theeye.stop()
        with pytest.raises(ConnectionError):
            answer.result(5)


def test_a_frozen_one_accepts_but_does_and_answers_nothing(theeye: StandIn, caller: Caller) -> None:
    theeye.freeze()
    with pytest.raises(requests.ReadTimeout):
        caller.create(timeout=0.1)
    assert theeye.jobs == {}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, theeye)
        theeye.wait_for_calls("profile", 1)
        assert not answer.done()
        theeye.thaw()
        assert answer.result(5).status == 200
    theeye.wait_for_jobs(1)  # the create was in its queue


def test_idle_connections_are_dropped_and_no_others(theeye: StandIn, caller: Caller) -> None:
    with socket.create_connection(("127.0.0.1", theeye.port), 5) as idle:
        idle.sendall(raw_get(theeye))
        with idle.makefile("rb") as stream:
            read_response(stream)
            theeye.fault("create", Silence(0.2))
            with ThreadPoolExecutor(1) as pool:
                busy = pool.submit(caller.create)
                theeye.wait_for_calls("create", 1)
                assert theeye.drop_idle() == 1
                assert stream.read() == b""
                assert not busy.done()
                with pytest.raises(requests.ConnectionError):
                    busy.result(5)


def test_a_stand_in_on_a_given_port() -> None:
    port = free_port()
    with StandIn(port=port) as theeye:
        assert (theeye.port, theeye.url) == (port, f"http://127.0.0.1:{port}")


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
        assert sock.recv(65536) == b"H", "byte by byte from the first one on"
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
        assert answer.result(5).json()["id"] == job_id
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
        assert answer.result(5).json()["lifecycle"] == "ready"


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


# -- the processes -----------------------------------------------------------------------------------


def test_redis_restarts_on_its_port_and_publishing_survives_it() -> None:
    with Redis(password="pässword") as server, StandIn(redis_url=server.url) as theeye:
        port, pid = server.port, server.pid
        assert theeye.publish(NO_JOB) == 0
        server.kill()
        assert theeye.publish(NO_JOB) == 0
        server.start()
        assert (server.port, server.pid != pid) == (port, True)
        with listening(server) as next_message:
            assert theeye.publish(NO_JOB) == 1
            assert next_message() is not None
        server.stop()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
            pass


def test_redis_freezes_and_thaws() -> None:
    with Redis() as server, closing(socket.create_connection(("127.0.0.1", server.port), 0.1)) as sock:
        server.freeze()
        sock.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            sock.recv(64)
        server.thaw()
        sock.settimeout(5)
        assert sock.recv(64) == b"+PONG\r\n"
        server.freeze()  # a frozen one can be stopped, too


def test_redis_wants_its_password() -> None:
    with Redis(password="secret") as server:
        assert server.client().ping() is True
        with closing(socket.create_connection(("127.0.0.1", server.port), 5)) as sock:
            sock.sendall(b"PING\r\n")
            assert sock.recv(64).startswith(b"-NOAUTH")


def test_a_process_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(processes, "free_port", lambda: taken.getsockname()[1])
        with pytest.raises(AssertionError, match="Failed listening on port"), Redis():
            pass


def test_a_process_that_does_not_stop_is_killed_and_fails_the_test() -> None:
    process = processes.Process()
    process.stop_timeout = 0.2
    process.launch(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"])
    wait_until(lambda: process.log_text() == "up\n", 5, "the shell")
    pid = process.pid
    with pytest.raises(AssertionError, match="still runs after"):
        process.close()
    wait_until(lambda: not group_pids(pid), 5, "the kill")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt-get install redis-server"):
        processes.need("no-such-program", "redis-server")


def test_the_service_starts_in_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SYNC_WAIT_SECONDS", "PYTHONWARNINGS", "GUNICORN_CMD_ARGS"):
        monkeypatch.setenv(name, "error")
    environment = processes.clean_environment()
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert not [name for name, value in environment.items() if value == "error"]


@pytest.mark.skipif(not (CHECKOUT / "wsgi.py").exists(), reason="there is no wsgi.py yet")
@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_the_service_starts_and_stops(theeye: StandIn, worker: str) -> None:
    env = {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url}
    with Service(env, worker=worker, workers=2) as service:
        assert len(service.worker_pids()) == 2
        assert raw_request("127.0.0.1", service.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        assert "Listening at" in service.log_text()
        pid = service.pid
        service.terminate()
        assert service.wait() == 0
    assert group_pids(pid) == []


@pytest.mark.skipif(not (CHECKOUT / "wsgi.py").exists(), reason="there is no wsgi.py yet")
def test_a_service_that_cannot_start_shows_its_log() -> None:
    with pytest.raises(AssertionError, match="unrecognized arguments: --nonsense"), Service(args=["--nonsense"]):
        pass


# -- raw requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "body", "complete"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", b"ok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", b"ok", False),
    ],
)
def test_raw_responses(theeye: StandIn, data: bytes, body: bytes, complete: bool) -> None:
    theeye.fault("any", Verbatim(data))
    response = ask(theeye)
    assert (response.body, response.complete) == (body, complete)
    assert response.status_line.startswith("HTTP/1.1 20")


def test_raw_requests_go_out_as_they_are(theeye: StandIn) -> None:
    response = raw_request("127.0.0.1", theeye.port, b"GET //a/%2e%2e/\xc3\xb1?x=%zz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.status_line == "HTTP/1.1 404 Not Found"
    assert response.header("content-type") == "application/json; charset=utf-8"
    assert theeye.calls[0].target == "//a/%2e%2e/\u00c3\u00b1?x=%zz"
