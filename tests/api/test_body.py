"""The body of a request: what of it is passed on, and what is refused."""

import json
import socket
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from support.theeye import JOB

from app.api.body import for_supervisor
from app.errors import BadRequest, UnsupportedType
from app.waiter.ticker import Ticker

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "body",
    [b'{"task_arguments":[100]}', b'[1, 2.50, "x"]', b'{"n":12345678901234567890123}', b'{"n":1e999}', b" [1]\n"],
)
def test_json_is_passed_on_as_it_came(body: bytes) -> None:
    assert for_supervisor(body, JSON) == body
    assert for_supervisor(body, "") == body
    assert for_supervisor(body, "application/vnd.acme+json; charset=UTF-8") == body


def test_an_integer_of_any_length_is_passed_on() -> None:
    body = b'{"n":' + b"9" * 5000 + b"}"
    assert for_supervisor(body, JSON) == body


def test_no_body_is_none() -> None:
    assert for_supervisor(b"", JSON) is None
    assert for_supervisor(b" \r\n", "text/html") is None


def test_what_is_not_the_callers_is_taken_out_of_the_body() -> None:
    body = b'{"lifecycle":"onhold","task_arguments":[1],"wait_result":true}'
    assert for_supervisor(body, JSON) == b'{"task_arguments":[1]}'
    assert for_supervisor(b"lifecycle=onhold&lifecycle[]=x&a=1", FORM) == b'{"a":"1"}'


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


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"a":[1', JSON),
        (b'"text"', JSON),
        (b"5", JSON),
        (b"null", JSON),
        (b"true", JSON),
        (b"[NaN]", JSON),
        (b'{"a":"\xff"}', JSON),
        (b"[" * 100_000, JSON),
        (b'{"a":1}', FORM),
        (b"a=%ff", FORM),
        (b"&".join(b"a=1" for _ in range(1001)), FORM),
        (b"a=1&a[b]=2", FORM),
    ],
)
def test_a_body_that_cannot_be_read_is_400_and_not_repeated(body: bytes, content_type: str) -> None:
    with pytest.raises(BadRequest) as caught:
        for_supervisor(body, content_type)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml", JSON + "; charset=latin1"]
)
def test_another_kind_of_body_is_415(content_type: str) -> None:
    with pytest.raises(UnsupportedType):
        for_supervisor(b"{}", content_type)


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
    assert (got.status_code, got.get_json()["code"]) == (500, "EINTERNAL")
