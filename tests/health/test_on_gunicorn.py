"""Test the health pages on real gunicorn: what they report about TheEye and Redis, and what they cost."""

import platform
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest
import requests
from support.health import GATEWAY, REDIS, SUPERVISOR, when_known
from support.processes import Redis, Service, user_of, wait_until
from support.settings import environment
from support.theeye import JOB, StandIn

from app.health import probes


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
        env = {"SYNC_GATEWAY_URL": gateway.url, "SYNC_SUPERVISOR_URL": supervisor.url, "SYNC_REDIS_URL": redis.url}
        with Service(env, worker=request.param) as service, requests.Session() as http:
            http.trust_env = False
            http.headers["Connection"] = "close"  # an idle connection would hold up the service's end
            yield World(gateway, supervisor, redis, service, http)


def test_a_burst_costs_no_look_of_its_own(world: World) -> None:
    wait_until(lambda: world.ready() == (200, {"status": "ready", "degraded": []}), 20, "ready")
    before, began = [len(theeye.probes) for theeye in (world.gateway, world.supervisor)], time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: world.ready(), range(20)))
    most = 1 + int((time.monotonic() - began) / probes.LOOK_SECONDS)
    assert answers == [(200, {"status": "ready", "degraded": []})] * 20
    for theeye, seen in zip((world.gateway, world.supervisor), before, strict=True):
        assert len(theeye.probes) - seen <= most


def test_alive_costs_nothing(world: World) -> None:
    before = len(world.gateway.calls) + len(world.supervisor.calls)
    assert world.get("/healthz").json() == {"status": "ok"}
    assert world.get("/api/status").status_code == 200
    assert len(world.gateway.calls) + len(world.supervisor.calls) == before


def test_the_host(world: World) -> None:
    worker = world.service.worker
    assert when_known(lambda: world.get("/readyz").json())["host"] == {
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
        wait_until(lambda: world.ready() == expected, 20, f"{expected}")

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


def test_readyz_tells_of_a_redis_that_refuses_scripts(theeye: StandIn) -> None:
    with Redis() as redis, user_of(redis, "~* &* +@all -evalsha") as url:
        env = environment(theeye, redis_url=url)
        with Service(env) as service:
            headers = {"Authorization": "Bearer tok-acme"} | {"Idempotency-Key": "k1", "Connection": "close"}
            refused = requests.post(service.url + JOB, headers=headers, timeout=30)
            assert (refused.status_code, refused.json()["code"]) == (503, "EKEYSDOWN")
            told = when_known(lambda: requests.get(f"{service.url}/readyz", timeout=30).json())
            assert told["degraded"] == ["redis: no idempotency keys, and the history guard sees one process only"]
            assert (told["status"], told["history_guard"]) == ("ready", "one process")
