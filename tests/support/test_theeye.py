"""The test infrastructure itself: the stand-in for TheEye, its faults, and the real processes."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from typing import Any

import pytest
import requests

from support.caller import NO_JOB, Caller
from support.theeye import (
    ACME,
    TASK,
    Session,
    StandIn,
)

OTHER_TASK = "61f3e937c38201da80f96c28"


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
