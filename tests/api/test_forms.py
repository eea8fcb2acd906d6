"""Test forms: the structure that TheEye makes of one, and a clear error for any other bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.arguments import for_supervisor
from app.errors import BadRequest

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (b"task_arguments=1&task_arguments=2", {"task_arguments": ["1", "2"]}),
        (b"task_arguments[]=1&task_arguments[]=2", {"task_arguments": ["1", "2"]}),
        (b"task_arguments[1]=b&task_arguments[0]=a", {"task_arguments": ["a", "b"]}),
        (b"task_arguments[]=1&task_arguments=2&task_arguments[]=3", {"task_arguments": ["1", "2", "3"]}),
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


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_a_clear_error(body: bytes) -> None:
    try:
        found = for_supervisor(body, FORM)
    except BadRequest:
        return
    assert found is None or isinstance(json.loads(found), dict)
