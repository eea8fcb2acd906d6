"""Test the probes of TheEye's servers: their times, their cost, and what counts as an answer."""

from typing import Any
from unittest.mock import ANY

import pytest
from support.health import GATEWAY, READY, STARTING, SUPERVISOR, Parts, assembled
from support.theeye import Html, Reply, Silence

from app.health import probes


def test_the_probes_carry_no_token(parts: Parts) -> None:
    parts.becomes(*READY)
    for theeye in (parts.gateway, parts.supervisor):
        probe = theeye.probes[0]
        assert probe.method == "GET"
        assert "authorization" not in probe.headers


def test_the_looks_begin_with_the_first_request_of_any_kind(parts: Parts) -> None:
    assert parts.gateway.probes == parts.supervisor.probes == []
    parts.flask.test_client().get("/healthz")
    parts.gateway.wait_for_calls("probe", 1)
    parts.supervisor.wait_for_calls("probe", 1)
    parts.becomes(*READY)
    assert 0 <= parts.flask.test_client().get("/readyz").get_json()["age"] < 60


@pytest.mark.parametrize("hanging", ["gateway", "supervisor"])
def test_a_server_that_hangs_delays_nobody(hanging: str, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "ANSWER_SECONDS", 3600)
    other = "supervisor" if hanging == "gateway" else "gateway"
    getattr(parts, hanging).fault("probe", Silence())
    assert parts.ready() == STARTING
    getattr(parts, other).wait_for_calls("probe", 2)
    assert len(getattr(parts, hanging).wait_for_calls("probe", 1)) == 1
    assert parts.ready() == STARTING, "while the first look has not ended"
    getattr(parts, hanging).heal()
    getattr(parts, hanging).stop()
    parts.becomes(503 if hanging == "supervisor" else 200, ANY)


def test_a_server_that_hangs_later_is_down_once_its_time_is_up(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.becomes(*READY)
    monkeypatch.setattr(probes, "ANSWER_SECONDS", 0.3)
    parts.supervisor.fault("probe", Silence())
    parts.becomes(503, {"status": "unreachable", "degraded": [SUPERVISOR]})


@pytest.mark.parametrize(
    ("answer", "down"),
    [(Reply(401, "Unauthorized"), False), (Reply(404, {}), False), (Html(500), False)]
    + [(Html(status), True) for status in (502, 503, 504, 522)]
    + [(Reply(503, {"message": "no server"}), True), (Reply(407, {}), True)],
)
def test_an_answer_of_a_proxy_is_none_of_theeyes(answer: Any, down: bool, parts: Parts) -> None:
    parts.gateway.fault("probe", answer)
    parts.supervisor.fault("probe", answer)
    expected = (503, {"status": "unreachable", "degraded": [SUPERVISOR, GATEWAY]}) if down else READY
    parts.becomes(*expected)


def test_theeye_is_looked_at_often_only_while_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(probes, "monotonic", lambda: now[0])
    with assembled() as parts:
        probe = parts.services.health._supervisor
        for elapsed, seen in ((0, 1), (29, 1), (1, 2), (0, 3), (59, 4), (1, 4)):
            now[0] += elapsed
            if not elapsed and seen > 1:
                probe.look_often()
            probe._look_if_due()
            assert len(parts.supervisor.probes) == seen, elapsed
