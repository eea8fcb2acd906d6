"""A run: nothing is created once the grace is over, and learning a task's limit is bounded."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import JOB, Silence, StandIn

from app import Services
from app.runs import runs


@pytest.mark.settings(grace_seconds=0)
def test_nothing_is_created_once_the_grace_is_over(services: Services, client: FlaskClient, theeye: StandIn) -> None:
    assert post(client).status_code == 200
    services.stop()
    assert "nothing was started" in error_of(post(client), 503, "EBUSY")["message"]
    assert len(theeye.calls_of("create")) == 1


@pytest.mark.parametrize(("wait", "learning"), [(0.3, 30.0), (30.0, 0.3)])
def test_learning_a_tasks_limit_is_bounded(
    wait: float, learning: float, make_app: Callable[..., Flask], theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the request's own wait, and by what it may cost at the most."""
    monkeypatch.setattr(runs, "LEARN_SECONDS", learning)
    theeye.fault("task", Silence())
    client = make_app(call_timeout=30).test_client()
    with ThreadPoolExecutor(1) as pool:
        began = monotonic()
        answer = pool.submit(post, client, f"{JOB}?wait={wait:g}")
        theeye.wait_for_calls("create", 1, 20)
        assert 0.25 < monotonic() - began < 20, "not as long as the other one of the two"
        assert "X-Job-Id" in answer.result(20).headers
    assert len(theeye.calls_of("task")) == 1
