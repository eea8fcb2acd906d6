"""Alive, ready, degraded, stopping: what the health pages say, and what they cost TheEye."""

import platform
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest
import requests
from flask import Flask
from support.processes import Redis, Service, wait_until
from support.theeye import TASK, Call, Html, Reply, Silence, StandIn

import app
from app import health

GATEWAY = "gateway: known sessions go on, new ones get 502 until it is back"
REDIS = "redis: polling carries the waits until it is back"
SUPERVISOR = "supervisor: nothing can be run"


def probes(theeye: StandIn) -> list[Call]:
    return [call for call in theeye.calls if call.path == "/api/status"]


# -- in this process, where time can be turned ------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    gateway: StandIn
    supervisor: StandIn
    flask: Flask

    @property
    def services(self) -> app.Services:
        services: app.Services = self.flask.extensions[app.EXTENSION]
        return services

    def ready(self) -> tuple[int, Any]:
        got = self.flask.test_client().get("/readyz")
        return got.status_code, {name: got.get_json()[name] for name in ("status", "degraded")}


@contextmanager
def assembled(**settings: Any) -> Iterator[Parts]:
    with StandIn() as gateway, StandIn() as supervisor:
        settings |= {"gateway_url": gateway.url, "supervisor_url": supervisor.url}
        parts = Parts(gateway, supervisor, app.create_app(app.Settings(**settings)))
        yield parts
        parts.services.health._gateway.close()
        parts.services.supervisor.transport.close()


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """Nothing is remembered here, and a probe takes no longer than 0.5 s."""
    monkeypatch.setattr(health, "REMEMBERED", -1.0)
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 0.5)
    with assembled() as parts:
        yield parts


def test_ready(parts: Parts) -> None:
    assert parts.ready() == (200, {"status": "ready", "degraded": []})


def test_the_probes_carry_no_token(parts: Parts) -> None:
    parts.ready()
    for theeye in (parts.gateway, parts.supervisor):
        [probe] = probes(theeye)
        assert probe.method == "GET"
        assert "authorization" not in probe.headers


def test_a_gateway_that_is_down_degrades(parts: Parts) -> None:
    parts.gateway.stop()
    assert parts.ready() == (200, {"status": "ready", "degraded": [GATEWAY]})
    parts.gateway.start()
    assert parts.ready() == (200, {"status": "ready", "degraded": []})


def test_a_supervisor_that_is_down_is_503(parts: Parts) -> None:
    parts.supervisor.stop()
    assert parts.ready() == (503, {"status": "unreachable", "degraded": [SUPERVISOR]})
    parts.gateway.stop()
    assert parts.ready() == (503, {"status": "unreachable", "degraded": [SUPERVISOR, GATEWAY]})
    parts.supervisor.start()
    assert parts.ready() == (200, {"status": "ready", "degraded": [GATEWAY]})


def test_both_silent_cost_one_probes_time(parts: Parts) -> None:
    parts.gateway.fault("other", Silence())
    parts.supervisor.fault("other", Silence())
    began = time.monotonic()
    assert parts.ready()[0] == 503
    assert 0.45 <= time.monotonic() - began < 0.9, "side by side"


@pytest.mark.parametrize("answer", [Reply(401, "Unauthorized"), Reply(404, {}), Html(500)])
def test_whatever_it_answers_it_is_there(answer: Any, parts: Parts) -> None:
    parts.gateway.fault("other", answer)
    parts.supervisor.fault("other", answer)
    assert parts.ready() == (200, {"status": "ready", "degraded": []})


@pytest.mark.parametrize(("guard", "spans"), [(True, "one process"), (False, "off")])
def test_whom_the_history_guard_holds_back(guard: bool, spans: str) -> None:
    with assembled(history_guard=guard) as parts:
        assert parts.flask.test_client().get("/readyz").get_json()["history_guard"] == spans


def test_what_was_seen_is_remembered_for_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(health, "monotonic", lambda: now[0])
    with assembled() as parts:
        for elapsed, seen in ((0.0, 1), (1.0, 1), (0.9, 1), (0.2, 2), (1.9, 2), (60.0, 3)):
            now[0] += elapsed
            assert parts.ready()[0] == 200
            assert (len(probes(parts.gateway)), len(probes(parts.supervisor))) == (seen, seen)


def test_stopping_is_503_and_asks_nobody(parts: Parts) -> None:
    parts.services.stop()
    assert parts.ready() == (503, {"status": "stopping", "degraded": []})
    assert probes(parts.supervisor) == []
    assert parts.flask.test_client().get("/healthz").status_code == 200, "and yet it is alive"


def test_stopping_ends_the_waits_in_time() -> None:
    with assembled(wait_seconds=20, grace_seconds=0.1) as parts:
        parts.supervisor.task(delay=None)
        token = {"Authorization": "Bearer tok-acme"}
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(parts.flask.test_client().post, f"/acme/task/{TASK}/job", headers=token)
            parts.supervisor.wait_for_jobs(1)
            began = time.monotonic()
            parts.services.stop()
            got = answer.result(10)
        assert time.monotonic() - began < 1
        assert (got.status_code, got.get_json()["code"]) == (504, "ETIMEISUP")
        assert got.get_json()["job"]["id"] in parts.supervisor.jobs


# -- on the real service ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    gateway: StandIn
    supervisor: StandIn
    redis: Redis
    service: Service
    http: requests.Session

    def ready(self) -> tuple[int, Any]:
        got = self.get("/readyz")
        return got.status_code, {name: got.json()[name] for name in ("status", "degraded")}

    def guarded(self) -> Any:
        return self.get("/readyz").json()["history_guard"]

    def get(self, path: str) -> requests.Response:
        return self.http.get(self.service.url + path)


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with Redis() as redis, StandIn() as gateway, StandIn() as supervisor:
        env = {
            "SYNC_GATEWAY_URL": gateway.url,
            "SYNC_SUPERVISOR_URL": supervisor.url,
            "SYNC_REDIS_URL": redis.url,
        }
        with Service(env, worker=request.param) as service, requests.Session() as http:
            http.trust_env = False
            http.headers["Connection"] = "close"  # an idle connection would hold up the service's end
            yield World(gateway, supervisor, redis, service, http)


def test_a_burst_costs_one_probe_each(world: World) -> None:
    before = len(probes(world.gateway)), len(probes(world.supervisor))
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: world.ready(), range(20)))
    most = 1 + int((time.monotonic() - began) / health.REMEMBERED)
    assert answers == [(200, {"status": "ready", "degraded": []})] * 20
    for theeye, seen in zip((world.gateway, world.supervisor), before, strict=True):
        assert len(probes(theeye)) - seen <= most
        assert probes(theeye)


def test_alive_costs_nothing(world: World) -> None:
    before = len(world.gateway.calls) + len(world.supervisor.calls)
    assert world.get("/healthz").json() == {"status": "ok"}
    assert world.get("/api/status").status_code == 200
    assert len(world.gateway.calls) + len(world.supervisor.calls) == before


def test_the_host(world: World) -> None:
    worker = world.service.worker
    assert world.get("/readyz").json()["host"] == {
        "server": {"gevent": "gunicorn gevent", "gthread": "gunicorn threads"}[worker],
        "disconnects": "seen",
        "parallel": 1000,
        "stopping": "waits are answered",
    }


def date(text: str) -> datetime:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    return datetime.fromisoformat(text)


def test_the_originals_status_page(world: World) -> None:
    status = world.get("/api/status").json()
    assert list(status) == [
        "status",
        "node_hostname",
        "node_uptime",
        "process_uptime",
        "theeye_version",
        "load_average",
    ]
    assert (status["status"], status["node_hostname"]) == ("Node is ok.", platform.node())
    assert status["theeye_version"] == version("theeye-sync")
    started = date(status["process_uptime"])
    assert date(status["node_uptime"]) <= started <= datetime.now(UTC)
    assert (datetime.now(UTC) - started).total_seconds() < 600, "our start, not the machine's"
    assert world.get("/api/status").json()["process_uptime"] == status["process_uptime"]
    assert len(status["load_average"]) == 3
    assert all(isinstance(load, float | int) and load >= 0 for load in status["load_average"])


@pytest.mark.parametrize("world", ["gevent"], indirect=True)
def test_what_is_down_is_named_until_it_is_back(world: World) -> None:
    def becomes(*expected: Any) -> None:
        wait_until(lambda: world.ready() == expected, 8, f"{expected}")

    world.redis.kill()
    becomes(200, {"status": "ready", "degraded": [REDIS]})
    assert world.guarded() == "one process"
    world.gateway.stop()
    world.supervisor.stop()
    becomes(503, {"status": "unreachable", "degraded": [SUPERVISOR, GATEWAY, REDIS]})
    assert world.get("/healthz").status_code == 200
    world.redis.start()
    world.gateway.start()
    world.supervisor.start()
    becomes(200, {"status": "ready", "degraded": []})
    assert world.guarded() == "all processes"
