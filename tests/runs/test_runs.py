"""A run: nothing is created once the grace is over, and learning a task's limit is bounded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.theeye import JOB, Silence, StandIn

from app import EXTENSION, Services, Settings, create_app
from app.runs import runs

TOKEN = {"Authorization": "Bearer tok-acme"}


@contextmanager
def serving(theeye: StandIn, **settings: Any) -> Iterator[tuple[Services, FlaskClient]]:
    """The service in this process, in front of the stand-in."""
    app = create_app(Settings(gateway_url=theeye.url, supervisor_url=theeye.url, **settings))
    services: Services = app.extensions[EXTENSION]
    yield services, app.test_client()
    services.supervisor.transport.close()
    services.health._gateway.close()


def test_nothing_is_created_once_the_grace_is_over(theeye: StandIn) -> None:
    with serving(theeye, grace_seconds=0) as (services, client):
        assert client.post(JOB, headers=TOKEN).status_code == 200
        services.stop()
        refused = client.post(JOB, headers=TOKEN)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "EBUSY")
    assert "nothing was started" in refused.get_json()["message"]
    assert len(theeye.calls_of("create")) == 1


@pytest.mark.parametrize(("wait", "learning"), [(0.3, 5.0), (30.0, 0.3)])
def test_learning_a_tasks_limit_is_bounded(
    wait: float, learning: float, theeye: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the request's own wait, and by what it may cost at the most."""
    monkeypatch.setattr(runs, "LEARN_SECONDS", learning)
    theeye.fault("task", Silence())
    with serving(theeye) as (_, client), ThreadPoolExecutor(1) as pool:
        began = monotonic()
        answer = pool.submit(client.post, f"{JOB}?wait={wait:g}", headers=TOKEN)
        theeye.wait_for_calls("create", 1)
        assert 0.25 < monotonic() - began < 4, "then the task was asked for longer than that"
        assert "X-Job-Id" in answer.result(10).headers
    assert len(theeye.calls_of("task")) == 1
