"""Whose request it is: the gateway's failures, odd tokens, another customer's session."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import (
    JOB,
    HalfBody,
    Html,
    Reply,
    Reset,
    Silence,
    StandIn,
)


@pytest.mark.parametrize(
    "fault",
    [
        Reply(500, {"message": "x"}),
        Html(503),
        Reset(),
        HalfBody(),
        Reply(200, b"<html>"),
        Reply(200, {}),
        Reply(200, []),
    ],
)
def test_a_gateway_that_fails_is_502_not_401(fault: Any, client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("profile", fault, times=1)
    got = post(client)
    error_of(got, 502, "EGATEWAY")
    assert got.headers.get("WWW-Authenticate") is None


@pytest.mark.settings(call_timeout=0.5)
def test_a_silent_gateway_is_502_within_the_call_timeout(client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("profile", Silence(), times=1)
    assert error_of(post(client), 502, "EGATEWAY")


@pytest.mark.parametrize("token", ["a%0d%0aX:%20y", "%00", "se%C3%B1al", "a%20b", ""])
def test_odd_tokens_are_401_and_cost_no_call(token: str, client: FlaskClient, theeye: StandIn) -> None:
    before = len(theeye.calls)
    got = post(client, f"{JOB}?access_token={token}", Authorization="")
    assert got.status_code == 401
    assert got.data == b'"Unauthorized"'
    assert len(theeye.calls) == before


def test_a_token_with_symbols_is_asked_about_as_it_is(client: FlaskClient, theeye: StandIn) -> None:
    got = post(client, Authorization="Bearer a'\"<&>~+/=")
    assert got.status_code == 401
    assert theeye.calls_of("profile")[-1].headers["authorization"] == "Bearer a'\"<&>~+/="


def test_another_customers_session_is_forbidden(client: FlaskClient, theeye: StandIn) -> None:
    before = len(theeye.calls_of("create"))
    got = post(client, Authorization="Bearer tok-beta")
    error_of(got, 403, "EORACC")
    assert len(theeye.calls_of("create")) == before
