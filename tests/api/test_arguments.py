"""Test the body of a request: what is passed on, and what is refused."""

import json

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import StandIn

from app.api.arguments import for_supervisor

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
AS_IT_CAME = [
    *(b'{"task_arguments":[100]}', b'[1, 2.50, "x"]', b'{"n":12345678901234567890123}', b'{"n":1e999}', b" [1]\n"),
    *(b"[1,2]", b'{"x":"se\xc3\xb1al"}', b"[" + b"7" * 4000 + b"]"),
]


@pytest.mark.parametrize("body", AS_IT_CAME)
def test_json_is_passed_on_as_it_came(body: bytes, client: FlaskClient, theeye: StandIn) -> None:
    assert for_supervisor(body, "") == for_supervisor(body, "application/vnd.acme+json; charset=UTF-8") == body
    assert post(client, body=body).status_code == 200
    assert theeye.calls_of("create")[-1].body == body


def test_an_integer_of_any_length_is_passed_on() -> None:
    body = b'{"n":' + b"9" * 5000 + b"}"
    assert for_supervisor(body, JSON) == body


def test_no_body_is_none(client: FlaskClient, theeye: StandIn) -> None:
    assert for_supervisor(b"", JSON) is None
    assert for_supervisor(b" \r\n", "text/html") is None
    assert post(client, body=b"").status_code == 200
    assert theeye.calls_of("create")[-1].body == b""


def test_what_is_not_the_callers_is_taken_out_of_the_body(client: FlaskClient, theeye: StandIn) -> None:
    body = b'{"lifecycle":"onhold","task_arguments":[1],"wait_result":true,"access_token":"x"}'
    assert for_supervisor(body, JSON) == b'{"task_arguments":[1]}'
    assert for_supervisor(b"lifecycle=onhold&lifecycle[]=x&a=1&access%5Ftoken=x&wait[x]=1", FORM) == b'{"a":"1"}'
    assert for_supervisor(b'{"wait":1}', JSON) == b'{"wait":1}'
    form = b"task_arguments=1&task_arguments=2&lifecycle=onhold"
    assert post(client, body=form, Content_Type=FORM).status_code == 200
    create = theeye.calls_of("create")[-1]
    assert json.loads(create.body) == {"task_arguments": ["1", "2"]}
    assert create.headers["content-type"] == JSON


NO_JSON = [b'{"a":[1', b'{"a"', b'"text"', b"5", b"null", b"true", b"[NaN]", b'{"a":"\xff"}', b"\xff", b"[" * 100_000]
NO_FORMS = [b'{"a":1}', b"a=%ff", b"&".join([b"a=1"] * 1001), b"a=1&a[b]=2"]


@pytest.mark.parametrize(
    ("body", "content_type"), [*((body, JSON) for body in NO_JSON), *((body, FORM) for body in NO_FORMS)]
)
def test_a_body_that_cannot_be_read_is_400_and_not_repeated(
    body: bytes, content_type: str, client: FlaskClient, theeye: StandIn
) -> None:
    error = error_of(post(client, body=body, Content_Type=content_type), 400, "EINVALID")
    assert len(error["message"]) < 200
    assert not theeye.calls_of("create")


OTHERS = ["text/plain", "multipart/mixed; boundary=x", "application/xml", "text/xml", JSON + "; charset=latin1"]


@pytest.mark.parametrize("content_type", OTHERS)
def test_another_kind_of_body_is_415(content_type: str, client: FlaskClient) -> None:
    error_of(post(client, body=b"{}", Content_Type=content_type), 415, "EMEDIATYPE")
