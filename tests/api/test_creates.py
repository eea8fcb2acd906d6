"""Test the answers to failures of the gateway, and of a create that is refused, fails, is lost or invalid."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import JOB, CloseAfter, CloseBefore, HalfBody, Html, Redirect, Reply, Reset, Silence, Stack, StandIn

NO_PROFILES = (Html(503), Reply(200, b"<html>"), Reply(200, {}), Reply(200, []))
FAILED = (Reply(500, {"m": 1}), Html(502), Stack(500), Reply(303, b""), Reply(500, b""))
NONSENSE = (Reply(200, b"<html>"), Reply(200, {"no": "id"}), Reply(200, b""), Reply(202, b""), Reply(204, b""))
SHORT = pytest.mark.settings(call_timeout=0.5)
LOST = (CloseBefore(), CloseAfter(), Reset(), HalfBody())


def test_the_supervisors_refusal_keeps_its_words_but_no_stack(client: FlaskClient, theeye: StandIn) -> None:
    words = {"message": "no\n    at f (x.js:1:1)", "stack": "Error: x", "errors": [{"stack": "y", "why": "z tok-acme"}]}
    theeye.fault("create", Reply(422, words), times=1)
    assert error_of(post(client), 422, "")["value"] == {"message": "no", "errors": [{"why": "z ***"}]}


@pytest.mark.parametrize(
    "fault", [Reply(500, {"message": "x"}), Reset(), HalfBody(), pytest.param(Silence(), marks=SHORT), *NO_PROFILES]
)
def test_a_gateway_that_fails_is_502_not_401(fault: Any, client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("profile", fault, times=1)
    got = post(client)
    error_of(got, 502, "EGATEWAY")
    assert got.headers.get("WWW-Authenticate") is None


@pytest.mark.parametrize(
    ("fault", "status", "code", "fate"),
    [
        *((fault, 502, "ESUPERVISOR", "may have started") for fault in FAILED),
        (Reply(301, b""), 502, "ESUPERVISOR", "nothing was started"),
        (Redirect("http://127.0.0.1:1/"), 502, "ESUPERVISOR", ""),
        pytest.param(Silence(), 504, "EOUTCOMEUNKNOWN", "may have started", marks=SHORT),
        *((fault, 504, "EOUTCOMEUNKNOWN", "may have started") for fault in LOST),
        *((fault, 502, "EOUTCOMEUNKNOWN", "may have started") for fault in NONSENSE),
    ],
)
def test_a_create_that_fails_says_what_it_means_and_is_never_repeated(
    fault: Any, status: int, code: str, fate: str, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.fault("create", fault, times=1)
    assert fate in error_of(post(client), status, code)["message"]
    assert len(theeye.calls_of("create")) == 1


MANY = b'"x":[' + b"[]," * 400_000 + b"[]]"
INNER = b'"y":{"id":"no"},"z":"\\",\\"id\\":\\"no\\""'


@pytest.mark.settings(max_job=2_000_000)
@pytest.mark.parametrize(
    ("body", "known"),
    [
        (b'{"a":1,%b,"id":"ID"}', True),
        (b'{"a":1,%b,"id":"ID","b":null, "c" : "}"}\n', True),
        (b'\n{"a":true,"_id" : "ID",%b}', True),
        (b'{"a":"' + b"x" * 60_000 + b'","id":"ID",%b}', True),
        (b'{"id":"ID",%b,"d":"' + b"x" * 2_000_000 + b'"}', True),  # above SYNC_MAX_JOB
        (b'{%b,"d":"' + b"x" * 2_000_000 + b'","id":"ID"}', False),
        (b'{%b,"id":7}', False),
        (b'[{%b,"id":"ID"}]', False),
    ],
)
def test_a_created_job_is_known_although_its_document_costs_too_much(
    body: bytes, known: bool, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.task(output=["x"])
    job_id = post(client).headers["X-Job-Id"]
    theeye.fault("create", Reply(200, body.replace(b"ID", job_id.encode()) % (INNER + b"," + MANY)), times=1)
    got = post(client)
    if known:
        assert (got.status_code, got.get_json(), got.headers["X-Job-Id"]) == (200, ["x"], job_id)
    else:
        assert "may have started" in error_of(got, got.status_code, "EOUTCOMEUNKNOWN")["message"]


def test_the_supervisors_401_is_ours(client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("create", Reply(401, "Unauthorized"), times=1)
    got = post(client)
    assert (got.status_code, got.data, got.headers.get("WWW-Authenticate")) == (401, b'"Unauthorized"', "Bearer")


@pytest.mark.parametrize("token", ["a%0d%0aX:%20y", "%00", "se%C3%B1al", "a%20b", ""])
def test_odd_tokens_are_401_and_cost_no_call(token: str, client: FlaskClient, theeye: StandIn) -> None:
    got = post(client, f"{JOB}?access_token={token}", Authorization="")
    assert (got.status_code, got.data, theeye.calls) == (401, b'"Unauthorized"', [])


def test_a_token_with_symbols_is_asked_about_as_it_is(client: FlaskClient, theeye: StandIn) -> None:
    assert post(client, Authorization="Bearer a'\"<&>~+/=").status_code == 401
    assert theeye.calls_of("profile")[-1].headers["authorization"] == "Bearer a'\"<&>~+/="


def test_another_customers_session_is_forbidden(client: FlaskClient, theeye: StandIn) -> None:
    error_of(post(client, Authorization="Bearer tok-beta"), 403, "EORACC")
    assert not theeye.calls_of("create")
