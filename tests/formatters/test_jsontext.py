"""Test that JSON is read and written as JavaScript does, without losing digits."""

import json
from typing import Any

import pytest
from hypothesis import given
from support.json_values import values

from formatters.jsontext import dumps, loads, loads_document


@given(value=values)
def test_what_was_read_is_written_again_the_same(value: Any) -> None:
    read = loads_document(json.dumps(value).encode())
    assert loads_document(dumps(read)) == read


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.0", b"1"),
        ("-0.0", b"0"),
        ("1e3", b"1000"),
        ("1.50", b"1.5"),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("1.2345678901234567e20", b"123456789012345670000"),
        ("1e21", b"1e+21"),
        ("0.00001", b"0.00001"),
        ("-1.5e-6", b"-0.0000015"),
        ("1e-7", b"1e-7"),
        ("1.25e-9", b"1.25e-9"),
        ("1e-10", b"1e-10"),
        ('["1e-05 \\" 1e-05",0.00001]', b'["1e-05 \\" 1e-05",0.00001]'),
        ('"\\ud83d"', b'"\\ud83d"'),
        ('"\\ud83d\\ude00"', '"\U0001f600"'.encode()),
        ('"\\u0001\\u2028\\u007f"', '"\\u0001\u2028\u007f"'.encode()),
        ('{"b":1,"a":2,"b":3}', b'{"b":3,"a":2}'),
    ],
)
def test_json_as_javascript_writes_it(text: str, written: bytes) -> None:
    assert dumps(loads(text)) == written


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "\ufeff1", "1e999", "9" * 5000, "[" * 100_000, "", "{,}", "01"])
def test_what_is_no_readable_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_a_document_with_odd_numbers_is_still_read() -> None:
    document = loads_document(b'{"a":NaN,"b":1e999,"c":' + b"9" * 5000 + b',"d":1.0}')
    assert document == {"a": None, "b": "1e999", "c": "9" * 5000, "d": 1}
