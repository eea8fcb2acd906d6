"""Test the token of a request, in its header or its query."""

import pytest

from app.api.query import Query
from app.api.request import token_of
from app.errors import Unauthorized


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


HEADERS = [None, "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer se\xf1al"]
VALUES = ["", "a&access_token=a", "a%0d%0aX-Evil:1", "a%00", "a+b", "%C3%B1", "a" * 9000]


@pytest.mark.parametrize(
    ("header", "query"),
    [
        *((header, "") for header in HEADERS),
        *((None, f"access_token={value}") for value in VALUES),
        ("Bearer abc", "access_token=abc"),
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
