"""What is taken from a request and what of it is passed on: query, token, body."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.body import for_supervisor
from app.api.query import NOT_THE_CALLERS, OURS, Query, base_name
from app.api.request import token_of
from app.errors import BadRequest, Unauthorized, UnsupportedType

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("", ""),
        ("a=1&b=2", "a=1&b=2"),
        ("a=1&access_token=x&b", "a=1&b"),
        ("access%5Ftoken=x&%61=1", "%61=1"),
        ("lifecycle=onhold&wait_result=true&a=1", "a=1"),
        ("lifecycle[]=onhold&lifecycle%5B0%5D=x&[lifecycle]=y&a[]=1", "a[]=1"),
        ("parse=1&result&full&wait=3&on_disconnect=cancel", ""),
        ("&&a=1&", "a=1"),
        ("a=se\xc3\xb1al b", "a=se%C3%B1al%20b"),
        ("a=1;b=2", "a=1;b=2"),
        ("a=%0d%0aX", "a=%0d%0aX"),
    ],
)
def test_the_rest_of_the_query_keeps_its_bytes(raw: str, kept: str) -> None:
    assert Query(raw).without(OURS | NOT_THE_CALLERS | {"parse", "result", "full"}) == kept


@given(st.text(st.characters(max_codepoint=255)))
def test_no_query_leaves_anything_that_a_request_line_cannot_hold(raw: str) -> None:
    kept = Query(raw).without(OURS)
    assert all("\x21" <= character <= "\x7e" for character in kept)


def test_formatters_never_see_the_token() -> None:
    assert Query("access_token=secret&parse=1").first == {"parse": "1"}


def test_the_first_of_several_values_counts() -> None:
    assert Query("parse=1&parse=2").first["parse"] == "1"


@pytest.mark.parametrize(
    ("name", "base"), [("a", "a"), ("a[]", "a"), ("a[b][c]", "a"), ("[a]", "a"), ("", ""), ("[]", "")]
)
def test_base_name(name: str, base: str) -> None:
    assert base_name(name) == base


@pytest.mark.parametrize(
    ("header", "query", "token"),
    [
        ("Bearer abc", "", "abc"),
        ("bearer  abc ", "", "abc"),
        (None, "access_token=abc", "abc"),
        (None, "access_token=a%2Bb", "a+b"),
        ("Basic xyz", "access_token=abc", "abc"),
    ],
)
def test_the_token_is_found(header: str | None, query: str, token: str) -> None:
    assert token_of(header, Query(query), True) == token


@pytest.mark.parametrize(
    ("header", "query"),
    [
        (None, ""),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("Basic abc", ""),
        ("Bearer abc", "access_token=abc"),
        (None, "access_token="),
        (None, "access_token=a&access_token=a"),
        (None, "access_token=a%0d%0aX-Evil:1"),
        (None, "access_token=a%00"),
        (None, "access_token=a+b"),
        (None, "access_token=%C3%B1"),
        ("Bearer a b", ""),
        ("Bearer se\xf1al", ""),
        (None, "access_token=" + "a" * 9000),
        (None, "access_token[]=abc"),
    ],
)
def test_a_token_that_no_header_can_carry_or_a_second_one_is_401(header: str | None, query: str) -> None:
    with pytest.raises(Unauthorized):
        token_of(header, Query(query), True)


def test_the_query_token_can_be_turned_off() -> None:
    with pytest.raises(Unauthorized):
        token_of(None, Query("access_token=abc"), False)
    assert token_of("Bearer abc", Query("access_token=other"), False) == "abc"


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
