"""Test the stand-in for TheEye: without these properties other tests would prove nothing."""

import json
from typing import Any

import pytest
import requests

from support.caller import NO_JOB, Caller
from support.theeye import ACME, JOB, StandIn

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


def test_a_job_runs_until_it_is_told_to_end(theeye: StandIn, caller: Caller) -> None:
    theeye.task(delay=None)
    first, second = (caller.post().json()["id"] for _ in range(2))
    theeye.finish(first)
    assert (caller.lifecycle(first), caller.lifecycle(second)) == ("finished", "ready")


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
    answer = caller.call(method, path, headers={"Authorization": f"Bearer {token}"})
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
    assert caller.call("POST", f"{JOB}{query}", data=body).json()["task_arguments_values"] == arguments


def test_what_a_caller_must_not_be_able_to_set(theeye: StandIn, caller: Caller) -> None:
    parked = caller.call("POST", f"{JOB}?lifecycle=onhold").json()
    assert caller.lifecycle(parked["id"]) == "onhold"
    assert caller.post(json={"task_arguments": [], "wait_result": True}).status_code == 303


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
    theeye.task(delay=None)
    job_id = caller.post().json()["id"]
    theeye.change(job_id, lifecycle=before)
    assert caller.cancel(job_id) == 204
    if state == "canceled":
        theeye._end_if_running(theeye._jobs[job_id])  # as when its delay is over
    job = caller.read(job_id).json()
    assert (job["lifecycle"], job["state"]) == (after, state), "and it does not end again"
    assert state != "canceled" or json.loads(job["output"][0]) == {"user": {"username": "ada"}}
