"""What a request becomes: one create with the caller's query and body."""

import json

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import (
    JOB,
    TASK,
    StandIn,
)


@pytest.mark.settings(session_ttl=0)
def test_one_request_makes_these_calls(client: FlaskClient, theeye: StandIn) -> None:
    post(client)  # the task's history limit is known from now on
    before = len(theeye.calls)
    got = post(client, f"{JOB}?parse=0&a=1&lifecycle=onhold&wait=5", b'{"task_arguments":[100],"wait_result":true}')
    assert got.status_code == 200
    calls = theeye.calls[before:]
    assert [call.kind for call in calls[:2]] == ["profile", "create"]
    assert {call.kind for call in calls[2:]} <= {"lifecycle", "read"}
    create = calls[1]
    assert create.target == f"{JOB}?a=1"
    assert create.body == b'{"task_arguments":[100]}'
    for call in calls:
        assert call.headers["authorization"] == "Bearer tok-acme"
        assert call.headers["accept"] == "application/json"
        assert "tok-acme" not in call.target


@pytest.mark.parametrize("body", [b"", b"[1,2]", b'{"x":"se\xc3\xb1al"}', b"[" + b"7" * 4000 + b"]"])
def test_bodies_are_passed_on_as_they_came(body: bytes, client: FlaskClient, theeye: StandIn) -> None:
    assert post(client, body=body).status_code == 200
    assert theeye.calls_of("create")[-1].body == body


def test_a_form_is_passed_on_as_json(client: FlaskClient, theeye: StandIn) -> None:
    form = b"task_arguments=1&task_arguments=2&lifecycle=onhold"
    assert post(client, body=form, Content_Type="application/x-www-form-urlencoded").status_code == 200
    create = theeye.calls_of("create")[-1]
    assert json.loads(create.body) == {"task_arguments": ["1", "2"]}
    assert create.headers["content-type"] == "application/json"


def test_the_customers_id_is_translated_to_its_name(client: FlaskClient, theeye: StandIn) -> None:
    assert post(client, f"/5e0000000000000000000001/task/{TASK}/job").status_code == 200
    assert theeye.calls_of("create")[-1].path == JOB


@pytest.mark.parametrize("body", [b'{"a"', b'"text"', b"5", b"null", b"[NaN]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_or_array_is_400(body: bytes, client: FlaskClient, theeye: StandIn) -> None:
    before = len(theeye.calls_of("create"))
    got = post(client, body=body)
    error_of(got, 400, "EINVALID")
    assert len(theeye.calls_of("create")) == before


def test_a_wrong_content_type_is_415(client: FlaskClient, theeye: StandIn) -> None:
    got = post(client, Content_Type="text/xml")
    error_of(got, 415, "EMEDIATYPE")


@pytest.mark.settings(max_body=300_000)
def test_a_body_above_the_limit_is_413(client: FlaskClient, theeye: StandIn) -> None:
    got = post(client, body=b"[" + b" " * 300_000 + b"]")
    error_of(got, 413, "ETOOLARGE")
    assert post(client, body=b"[" + b" " * 299_990 + b"]").status_code == 200
