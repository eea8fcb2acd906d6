"""The fate of a create: refused, failed, lost, or answered with nonsense."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import (
    CloseAfter,
    CloseBefore,
    HalfBody,
    Html,
    Redirect,
    Reply,
    Reset,
    Silence,
    Stack,
    StandIn,
)


def test_the_supervisors_refusal_keeps_its_words_but_no_stack(client: FlaskClient, theeye: StandIn) -> None:
    words = {"message": "no\n    at f (x.js:1:1)", "stack": "Error: x", "errors": [{"stack": "y", "why": "z tok-acme"}]}
    theeye.fault("create", Reply(422, words), times=1)
    got = post(client)
    assert error_of(got, 422, "")["value"] == {"message": "no", "errors": [{"why": "z ***"}]}


@pytest.mark.parametrize(
    "fault", [Reply(500, {"m": 1}), Html(502), Stack(500), Redirect("http://127.0.0.1:1/"), Reply(303, b"")]
)
def test_a_supervisor_that_fails_is_502(fault: Any, client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("create", fault, times=1)
    before = len(theeye.calls_of("create"))
    got = post(client)
    error_of(got, 502, "ESUPERVISOR")
    assert len(theeye.calls_of("create")) == before + 1


@pytest.mark.settings(call_timeout=2)
@pytest.mark.parametrize("fault", [CloseBefore(), CloseAfter(), Reset(), HalfBody(), Silence()])
def test_a_create_whose_answer_was_lost_is_504_and_never_repeated(
    fault: Any, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.fault("create", fault, times=1)
    before = len(theeye.calls_of("create"))
    got = post(client)
    error = error_of(got, 504, "EOUTCOMEUNKNOWN")
    assert "may have started" in error["message"]
    assert len(theeye.calls_of("create")) == before + 1


@pytest.mark.parametrize("fault", [Reply(200, b"<html>"), Reply(200, {"no": "id"}), Reply(200, b"")])
def test_a_create_answered_with_nonsense_says_that_it_may_have_started(
    fault: Any, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.fault("create", fault, times=1)
    got = post(client)
    error = error_of(got, 502, "EOUTCOMEUNKNOWN")
    assert "may have started" in error["message"]


@pytest.mark.parametrize(
    ("status", "code", "fate"),
    [
        (202, "EOUTCOMEUNKNOWN", "may have started"),
        (204, "EOUTCOMEUNKNOWN", "may have started"),
        (303, "ESUPERVISOR", "may have started"),
        (301, "ESUPERVISOR", "nothing was started"),
        (500, "ESUPERVISOR", "may have started"),
    ],
)
def test_an_odd_status_of_the_create_says_what_it_means(
    status: int, code: str, fate: str, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.fault("create", Reply(status, b""), times=1)
    got = post(client)
    assert fate in error_of(got, 502, code)["message"]


def test_the_supervisors_401_is_ours(client: FlaskClient, theeye: StandIn) -> None:
    theeye.fault("create", Reply(401, "Unauthorized"), times=1)
    got = post(client)
    assert (got.status_code, got.data, got.headers.get("WWW-Authenticate")) == (401, b'"Unauthorized"', "Bearer")
