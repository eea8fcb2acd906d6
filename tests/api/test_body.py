"""The body of a request: what of it is passed on, and what is refused."""

import json
import socket
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from support.client import error_of, post
from support.theeye import JOB, StandIn

from app.api.body import for_supervisor
from app.errors import BadRequest
from app.waiter.ticker import Ticker

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
    body = b'{"lifecycle":"onhold","task_arguments":[1],"wait_result":true}'
    assert for_supervisor(body, JSON) == b'{"task_arguments":[1]}'
    assert for_supervisor(b"lifecycle=onhold&lifecycle[]=x&a=1", FORM) == b'{"a":"1"}'
    form = b"task_arguments=1&task_arguments=2&lifecycle=onhold"
    assert post(client, body=form, Content_Type=FORM).status_code == 200
    create = theeye.calls_of("create")[-1]
    assert json.loads(create.body) == {"task_arguments": ["1", "2"]}
    assert create.headers["content-type"] == JSON


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (b"task_arguments=1&task_arguments=2", {"task_arguments": ["1", "2"]}),
        (b"task_arguments[]=1&task_arguments[]=2", {"task_arguments": ["1", "2"]}),
        (b"task_arguments[1]=b&task_arguments[0]=a", {"task_arguments": ["a", "b"]}),
        (b"task_arguments=100", {"task_arguments": ["100"]}),
        (b"a=1&b=se%C3%B1al+x&c", {"a": "1", "b": "señal x", "c": ""}),
        (b"a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        (b"a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
    ],
)
def test_a_form_becomes_the_same_structure(form: bytes, value: Any) -> None:
    body = for_supervisor(form, FORM + "; charset=utf-8")
    assert body is not None
    assert json.loads(body) == value


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


OTHERS = ["text/plain", "multipart/form-data; boundary=x", "application/xml", "text/xml", JSON + "; charset=latin1"]


@pytest.mark.parametrize("content_type", OTHERS)
def test_another_kind_of_body_is_415(content_type: str, client: FlaskClient) -> None:
    error_of(post(client, body=b"{}", Content_Type=content_type), 415, "EMEDIATYPE")


@pytest.mark.settings(max_body=300_000)
def test_a_body_above_the_limit_is_413(client: FlaskClient) -> None:
    error_of(post(client, body=b"[" + b" " * 300_000 + b"]"), 413, "ETOOLARGE")
    assert post(client, body=b"[" + b" " * 299_990 + b"]").status_code == 200


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_a_clear_error(body: bytes) -> None:
    try:
        found = for_supervisor(body, FORM)
    except BadRequest:
        return
    assert found is None or isinstance(json.loads(found), dict)


def test_a_bug_while_a_body_is_watched_is_not_called_the_clients(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(ticker: Ticker) -> None:
        if ticker._name == "theeye-sync-bodies":
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Ticker, "ensure_running", refuse)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        headers = {"Authorization": "Bearer tok-acme"}
        got = client.post(JOB, headers=headers, data=b"[1]", environ_overrides={"gunicorn.socket": ours})
    error_of(got, 500, "EINTERNAL")
