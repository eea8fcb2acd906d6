"""The stand-in for TheEye: what would make other tests pass for nothing if it were not so."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from support.caller import NO_JOB, Caller
from support.theeye import ACME, JOB, TASK, StandIn

OTHER_TASK = "61f3e937c38201da80f96c28"


def test_profiles(theeye: StandIn, caller: Caller) -> None:
    scopes = {"scopes[]": ["principal", "organization"]}
    profile = caller.profile(params=scopes).json()
    assert (set(profile), profile["organization"]["id"]) == ({"principal", "organization"}, ACME.customer_id)
    with pytest.raises(requests.ReadTimeout):  # as a real gateway does with this scope
        caller.profile(params={"scopes[]": "id"}, timeout=0.2)
    theeye.knows_scopes = False
    for profile in (caller.profile().json(), caller.profile(params=scopes).json()):
        assert profile["customers"] == [{"id": "5e0000000000000000000001", "name": "acme"}]
        assert profile["current_customer"]["id"] == "5e0000000000000000000001"
        assert profile["current_customer"]["name"] == "acme"
    del theeye.tokens["tok-acme"]
    answer = caller.profile()
    assert (answer.status_code, "    at " in answer.json()["stack"]) == (401, True)


def test_when_a_job_ends(theeye: StandIn, caller: Caller) -> None:
    theeye.task(output=['{"a":1}'], state="failure", extra="field")
    created = caller.create().json()
    assert (created["lifecycle"], created["task_arguments_values"]) == ("ready", [100])
    job = caller.read(created["id"]).json()
    assert (job["lifecycle"], job["state"], job["output"]) == ("finished", "failure", ['{"a":1}'])
    assert (job["extra"], job["customer_id"]) == ("field", ACME.customer_id)
    assert theeye.jobs == {created["id"]: job}, "without a delay it has ended when the create is answered"
    theeye.task(delay=30)
    late = caller.create().json()["id"]
    theeye.task(OTHER_TASK, delay=0.15)
    soon = caller.create(OTHER_TASK).json()["id"]
    assert caller.lifecycle(soon) == "ready"
    assert theeye.wait_for_ended(2) == [created["id"], soon], "each after its own delay"
    assert caller.lifecycle(late) == "ready"
    theeye.task(delay=None)
    first, second = (caller.create().json()["id"] for _ in range(2))
    theeye.finish(first, state="odd")
    assert caller.read(first).json()["state"] == "odd"
    assert caller.lifecycle(second) == "ready", "without a delay each ends when told"
    theeye.change(second, lifecycle="assigned")
    assert caller.lifecycle(second) == "assigned"
    theeye.finish()
    assert caller.lifecycle(second) == "finished"


def test_a_given_document(theeye: StandIn, caller: Caller) -> None:
    theeye.task(document={"z": "ñ\u2028\ud800", "n": 12345678901234567890, "lifecycle": "expired", "id": NO_JOB})
    assert caller.create().json()["id"] == NO_JOB
    text = '{"z":"ñ\u2028\\ud800","n":12345678901234567890,"lifecycle":"expired","id":"%s","state":"success"}'
    assert caller.read(NO_JOB).content == (text % NO_JOB).encode(), "to the byte, and what it lacks at its end"
    theeye.task(raw=b'{"id": NaN', delay=None)
    job_id = caller.create().json()["id"]
    assert caller.read(job_id).json()["lifecycle"] == "ready"
    theeye.finish(job_id)
    assert caller.read(job_id).content == b'{"id": NaN'
    assert caller.lifecycle(job_id) == "finished"


@pytest.mark.parametrize(
    ("method", "path", "token", "status", "body"),
    [
        ("GET", f"/acme/job/{NO_JOB}", "tok-acme", 404, "job not found"),
        ("GET", "/acme/job/zz", "tok-acme", 400, "job id is invalid"),
        ("GET", f"/nobody/job/{NO_JOB}", "tok-acme", 404, "organization not found"),
        ("GET", f"/beta/job/{NO_JOB}", "tok-acme", 409, None),
        ("POST", "/acme/task/zz/job", "tok-acme", 400, None),
        ("POST", f"/acme/task/{OTHER_TASK}/job", "tok-acme", 404, None),
        ("PUT", f"/acme/job/{NO_JOB}/cancel", "tok-acme", 404, "job not found"),
        ("GET", "/nope", "tok-acme", 404, None),
        ("POST", JOB, "nope", 401, "Unauthorized"),
    ],
)
def test_refusals(
    theeye: StandIn, caller: Caller, method: str, path: str, token: str, status: int, body: str | None
) -> None:
    answer = caller(method, path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    assert body is None or answer.json() == body
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
    assert caller("POST", f"{JOB}{query}", data=body).json()["task_arguments_values"] == arguments


def test_what_a_caller_must_not_be_able_to_set(theeye: StandIn, caller: Caller) -> None:
    parked = caller("POST", f"{JOB}?lifecycle=onhold").json()
    assert caller.lifecycle(parked["id"]) == "onhold"
    assert caller.create(json={"task_arguments": [], "wait_result": True}).status_code == 303


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ("ready", "canceled", "canceled"),
        ("onhold", "canceled", "canceled"),
        ("assigned", "terminated", "canceled"),
        ("locked", "locked", "in_progress"),
    ],
)
def test_cancel(theeye: StandIn, caller: Caller, before: str, after: str, state: str) -> None:
    theeye.task(delay=0.1 if before == "ready" else None)
    job_id = caller.create().json()["id"]
    theeye.change(job_id, lifecycle=before)
    assert caller.cancel(job_id) == 204
    theeye.task(delay=0.2)
    caller.create()
    theeye.wait_for_ended(2 if state == "canceled" else 1)  # the first one's delay is over, too
    job = caller.read(job_id).json()
    assert (job["lifecycle"], job["state"]) == (after, state), "and it does not end again"
    assert state != "canceled" or json.loads(job["output"][0]) == {"user": {"username": "ada"}}


def test_the_history_limit_deletes_what_nobody_has_read(theeye: StandIn, caller: Caller) -> None:
    for _ in range(8):
        caller.create()
    assert len(theeye.jobs) == 8, "there is no limit yet"
    task = caller("GET", f"/acme/task/{TASK}").json()
    assert (task["autoremove_completed_jobs"], task["timeout"]) == (False, 600000)
    theeye.task(history=2)
    ids = [caller.create().json()["id"] for _ in range(4)]
    assert list(theeye.jobs) == ids[1:], "the limit is applied before the new job is there"
    assert caller.read(ids[0]).status_code == 404
    assert caller("GET", f"/acme/task/{TASK}").json()["autoremove_completed_jobs_limit"] == 2
    assert theeye.jobs[ids[3]]["task"]["autoremove_completed_jobs_limit"] == 2


def test_calls_are_recorded_as_they_came(theeye: StandIn, caller: Caller) -> None:
    caller("POST", f"{JOB}?a=1&a=&b=%C3%B1", data=b'{"x": 1}', headers={"X-Odd": "yes"})
    (call,) = theeye.calls_of("create")
    assert (call.method, call.target, call.path) == ("POST", f"{JOB}?a=1&a=&b=%C3%B1", JOB)
    assert call.query == [("a", "1"), ("a", ""), ("b", "ñ")]
    assert (call.body, call.json(), call.headers["x-odd"]) == (b'{"x": 1}', {"x": 1}, "yes")
    caller.profile()
    job_id = caller.create().json()["id"]
    caller.read(job_id)
    caller.lifecycle(job_id)
    caller.cancel(job_id)
    caller("GET", f"/acme/task/{TASK}")
    kinds = [call.kind for call in theeye.calls]
    assert kinds == ["create", "profile", "create", "read", "lifecycle", "cancel", "task"]
    assert {call.connection for call in theeye.calls} == {1}, "one kept-alive connection"
    with pytest.raises(AssertionError, match=r"7 any calls after .* s, not 8"):
        theeye.wait_for_calls("any", 8, timeout=0.05)
