"""Test the query of a request: what is passed on, and what formatters get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.query import BLOCKED_NAMES, SERVICE_NAMES, Query, base_name


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
        ("a=1&access_token%3DT&b", "a=1&b"),
        ("a=%0d%0aX", "a=%0d%0aX"),
    ],
)
def test_the_rest_of_the_query_keeps_its_bytes(raw: str, kept: str) -> None:
    assert Query(raw).without(SERVICE_NAMES | BLOCKED_NAMES | {"parse", "result", "full"}) == kept


@given(st.text(st.characters(max_codepoint=255)))
def test_no_query_leaves_anything_that_a_request_line_cannot_hold(raw: str) -> None:
    kept = Query(raw).without(SERVICE_NAMES)
    assert all("\x21" <= character <= "\x7e" for character in kept)


def test_formatters_never_see_the_token() -> None:
    assert Query("access_token=secret&parse=1").first == {"parse": "1"}


def test_the_first_of_several_values_counts() -> None:
    assert Query("parse=1&parse=2").first["parse"] == "1"
    assert Query("parse=1&a&parse=2&b[]=1&b=2").repeated == {"parse", "b"}


@pytest.mark.parametrize(
    ("name", "base"), [("a", "a"), ("a[]", "a"), ("a[b][c]", "a"), ("[a]", "a"), ("", ""), ("[]", "")]
)
def test_base_name(name: str, base: str) -> None:
    assert base_name(name) == base
