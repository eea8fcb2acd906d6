"""Bodies made to cost more than their size, and bodies that two readers could understand differently."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.api.body import for_supervisor
from app.errors import BadRequest

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
SIZE = 4 << 20
SECONDS = 8.0  # measured: below one; machines differ, but what is quadratic takes minutes

REFUSED = {
    "arrays in arrays": b"[" * SIZE,
    "arrays in arrays, closed": b"[" * (SIZE // 2) + b"]" * (SIZE // 2),
    "objects in objects": b'{"a":' * (SIZE // 5) + b"1" + b"}" * (SIZE // 5),
}
PASSED_ON = {
    "one integer": b"[" + b"9" * SIZE + b"]",
    "one fraction": b"[0." + b"9" * SIZE + b"]",
    "one exponent": b"[1e" + b"9" * SIZE + b"]",
    "many integers": b"[" + b",".join([b"9" * 4400] * (SIZE // 4401)) + b"]",
    "many keys": b"{" + b",".join(b'"k%d":1' % number for number in range(SIZE // 12)) + b"}",
    "one key many times": b"{" + b",".join([b'"k":1'] * (SIZE // 6)) + b"}",
    "many empty objects": b"[" + b",".join([b"{}"] * (SIZE // 3)) + b"]",
    "many escapes": b'["' + b"\\u0041" * (SIZE // 6) + b'"]',
}
FORMS = {
    "many fields": b"a=1&" * (SIZE // 4),
    "many escapes": b"a=" + b"%41" * (SIZE // 3),
    "what only looks like escapes": b"a=" + b"%" * SIZE,
}


@contextmanager
def within(seconds: float = SECONDS) -> Iterator[None]:
    """Raise AssertionError if this thread computes for longer."""
    began = time.thread_time()
    yield
    assert time.thread_time() - began < seconds


@pytest.mark.parametrize("what", REFUSED)
def test_a_body_nested_too_deeply_is_refused_at_once(what: str) -> None:
    with within(), pytest.raises(BadRequest, match="nested too deeply"):
        for_supervisor(REFUSED[what], JSON)


@pytest.mark.parametrize("what", PASSED_ON)
def test_a_large_body_goes_on_as_it_came_and_in_time(what: str) -> None:
    with within():
        assert for_supervisor(PASSED_ON[what], JSON) == PASSED_ON[what]


@pytest.mark.parametrize("what", FORMS)
def test_a_form_that_would_take_long_is_refused_at_once(what: str) -> None:
    with within(1), pytest.raises(BadRequest):
        for_supervisor(FORMS[what], FORM)


def test_names_in_names_are_read_five_levels_deep() -> None:
    with within():
        assert for_supervisor(b"a" + b"[b]" * (SIZE // 3) + b"=1", FORM) == b'{"a":{"b":{"b":{"b":{"b":{"b":"1"}}}}}}'


@pytest.mark.parametrize("field", ["lifecycle", "wait_result"])
@pytest.mark.parametrize(
    "body", ['{"F":"onhold","F":"ready","a":1}', '{"a":1,"\\u00XX...":"onhold"}', '{"a":1,"F":{"F":1}}']
)
def test_a_field_that_is_not_the_callers_is_taken_out_however_it_is_written(body: str, field: str) -> None:
    body = body.replace("\\u00XX...", f"\\u{ord(field[0]):04x}{field[1:]}").replace("F", field)
    sent: Any = json.loads(for_supervisor(body.encode(), JSON) or b"")
    assert sent == {"a": 1}
