"""Define the fixtures of all rooms: a new TheEye for each test, the service in this process or under gunicorn, Redis.

def test_x(theeye, client): ...               Flask's test client of an application in front of `theeye`
@pytest.mark.settings(session_ttl=0)          its settings; of several marks the nearest counts
def test_y(make_app): make_app(max_body=9)    an application with settings of the test's own
def test_z(theeye, service): service("gthread", wait_seconds=1)   real gunicorn, where it matters
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.client import close
from support.collection import starts_process
from support.processes import Redis, Service, wait_until
from support.settings import environment
from support.shared_work import share
from support.theeye import StandIn
from support.world import World, in_process

from app import EXTENSION, Services, Settings, create_app
from app.waiter import pauses
from sandbox import Sandbox

WORKERS = ("gevent", "gthread")

share()
gc.disable()  # until all tests are collected: none of their objects is garbage
os.environ["PYTHONUNBUFFERED"] = "1"  # the logs of subprocesses are read while they run
for _name in list(os.environ):  # the machine's proxies and certificates must not affect the tests
    if _name.lower().endswith("_proxy") or _name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        del os.environ[_name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start a process; `make test-fast` leaves them out."""
    for item in items:
        if isinstance(item, pytest.Function) and starts_process(item):
            item.add_marker("process")


def pytest_collection_finish() -> None:
    """Exclude the tests themselves from garbage collection, which took a sixth of the time."""
    gc.freeze()
    gc.set_threshold(20_000)  # of objects made since; the usual 700 are a few requests
    gc.enable()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def theeye() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def theeye_redis(redis_server: Redis) -> Iterator[StandIn]:
    with StandIn(redis_url=redis_server.url) as standin:
        yield standin


@pytest.fixture
def make_app(theeye: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Flask]]:
    """Return a function that makes applications with quick looks in front of `theeye`; close them after the test."""
    made: list[Flask] = []
    monkeypatch.setattr(pauses, "POLLING", (0.002, 1.0))  # the jobs of most tests have ended by the first look
    usual = {"gateway_url": theeye.url, "supervisor_url": theeye.url, "max_looks": 1000}  # no look waits for another

    def make(**settings: Any) -> Flask:
        app = create_app(Settings(**{**usual, **settings}))
        made.append(app)
        return app

    yield make
    for app in made:
        close(app)


@pytest.fixture
def app(make_app: Callable[..., Flask], request: pytest.FixtureRequest) -> Flask:
    mark = request.node.get_closest_marker("settings")
    return make_app(**mark.kwargs if mark else {})


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def world(app: Flask, theeye: StandIn) -> World:
    """Return a caller of `app`, which has served a first request."""
    world = World(theeye, in_process(app))
    world.warm()
    theeye.task(output=['{"a":1}'])
    return world


@pytest.fixture
def service(theeye: StandIn) -> Iterator[Callable[..., Service]]:
    """Return a function that starts gunicorn in front of `theeye`, by worker, options of Service and settings."""
    with ExitStack() as stack:

        def start(worker: str = "gevent", workers: int = 1, args: tuple[str, ...] = (), **settings: object) -> Service:
            return stack.enter_context(Service(environment(theeye, **settings), worker, workers, args=args))

        yield start


@pytest.fixture(scope="module")
def shared_theeye() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def gunicorn_settings(request: pytest.FixtureRequest) -> dict[str, object]:
    """Return the settings of `gunicorn`, from the file's mark; a file that computes its settings overrides this."""
    mark = request.node.get_closest_marker("settings")
    return mark.kwargs if mark else {}


@pytest.fixture(scope="module", params=WORKERS)
def gunicorn(
    request: pytest.FixtureRequest, shared_theeye: StandIn, gunicorn_settings: dict[str, object]
) -> Iterator[Service]:
    """Run one service with each kind of worker for all tests of a file, in front of `its_theeye`."""
    with Service(environment(shared_theeye, **gunicorn_settings), worker=request.param) as running:
        yield running


@pytest.fixture
def its_theeye(shared_theeye: StandIn) -> Iterator[StandIn]:
    """Return the TheEye that `gunicorn` calls, reset."""
    shared_theeye.renew()
    shared_theeye.task(output=['{"a":1}'])
    yield shared_theeye
    shared_theeye.heal()


@pytest.fixture(scope="module")
def shared_theeye_redis(redis_server: Redis) -> Iterator[StandIn]:
    with StandIn(redis_url=redis_server.url) as standin:
        yield standin


@pytest.fixture(scope="module")
def with_keys(shared_theeye_redis: StandIn, redis_server: Redis) -> Iterator[Service]:
    """Run one service with Redis for all tests of a file, in front of `theeye_with_keys`."""
    with Service(environment(shared_theeye_redis, redis_url=redis_server.url)) as running:
        yield running


@pytest.fixture
def theeye_with_keys(shared_theeye_redis: StandIn) -> StandIn:
    """Return the TheEye that `with_keys` calls, reset."""
    shared_theeye_redis.renew()
    return shared_theeye_redis


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Run a sandbox for all tests of a file."""
    with Sandbox(database=tmp_path_factory.mktemp("sandbox") / "theeye.sqlite3") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def demo_service(sandbox: Sandbox) -> Iterator[Service]:
    """Run the service as `make run` does, on other ports."""
    with Service(environment(sandbox)) as running:
        wait_until(lambda: running.ask("GET", "/readyz").status == 200, 30, "ready")
        yield running
