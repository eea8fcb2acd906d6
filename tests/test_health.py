"""Alive, ready, degraded, stopping: what the health pages say, and what they cost TheEye."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from flask import Flask
from support.health import GATEWAY, REDIS, SUPERVISOR
from support.processes import wait_until
from support.theeye import TASK, Html, Reply, Silence, StandIn

import app
from app import probes
from app.health import ONE, UNKNOWN, read_host

# -- in this process, where time can be turned ------------------------------------------------------------------


READY = (200, {"status": "ready", "degraded": []})
STARTING = (503, {"status": "starting", "degraded": []})


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

    def becomes(self, *expected: Any) -> None:
        wait_until(lambda: self.ready() == expected, 30, f"{expected}, not {self.ready()}")


@contextmanager
def assembled(**settings: Any) -> Iterator[Parts]:
    with StandIn() as gateway, StandIn() as supervisor:
        settings = {"gateway_url": gateway.url, "supervisor_url": supervisor.url} | settings
        parts = Parts(gateway, supervisor, app.create_app(app.Settings(**settings)))
        yield parts
        parts.services.health.stop()
        parts.services.health._gateway._transport.close()
        parts.services.supervisor.transport.close()


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """Looks that come often."""
    monkeypatch.setattr(probes, "LOOK_SECONDS", 0.02)
    with assembled() as parts:
        yield parts


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


def test_what_is_down_is_named_until_it_is_back(parts: Parts) -> None:
    parts.becomes(*READY)
    parts.gateway.stop()
    parts.becomes(200, {"status": "ready", "degraded": [GATEWAY]})
    parts.supervisor.stop()
    parts.becomes(503, {"status": "unreachable", "degraded": [SUPERVISOR, GATEWAY]})
    parts.supervisor.start()
    parts.becomes(200, {"status": "ready", "degraded": [GATEWAY]})
    parts.gateway.start()
    parts.becomes(*READY)


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


def test_a_redis_that_hangs_delays_nobody() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        assembled(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}") as parts,
    ):
        assert parts.ready() == STARTING
        parts.becomes(200, {"status": "ready", "degraded": [REDIS]})


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


@pytest.mark.parametrize(("guard", "spans"), [(True, "one process"), (False, "off")])
def test_whom_the_history_guard_holds_back(guard: bool, spans: str) -> None:
    with assembled(history_guard=guard) as parts:
        parts.becomes(*READY)
        assert parts.flask.test_client().get("/readyz").get_json()["history_guard"] == spans


def test_theeye_is_looked_at_often_only_while_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(probes, "monotonic", lambda: now[0])
    with assembled() as parts:
        probe = parts.services.health._supervisor
        for elapsed, seen in ((0, 1), (29, 1), (1, 2), (0, 3), (59, 4), (1, 4)):
            now[0] += elapsed
            if not elapsed and seen > 1:
                probe.ask()
            probe._look_if_due()
            assert len(parts.supervisor.probes) == seen, elapsed


def test_stopping_is_503_and_ends_the_looks(parts: Parts) -> None:
    others = threading.enumerate()  # of applications of other tests
    parts.becomes(*READY)
    looking = [thread for thread in threading.enumerate() if "probe" in thread.name and thread not in others]
    assert looking
    parts.services.stop()
    wait_until(lambda: not any(thread.is_alive() for thread in looking), 20, "their end")
    assert parts.ready() == (503, {"status": "stopping", "degraded": []})
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
        assert time.monotonic() - began < 15, "the wait is 20 s"
        assert (got.status_code, got.get_json()["code"]) == (504, "ETIMEISUP")
        assert got.get_json()["job"]["id"] in parts.supervisor.jobs


THREADS = {"wsgi.multithread": True}


MOD_WSGI = {"mod_wsgi.version": (4, 9, 4), "SERVER_SOFTWARE": "Apache/2.4 (Debian) mod_wsgi/4.9.4"}


UWSGI = {"uwsgi.version": b"2.0.30"}


GRACEFUL = {"threads": b"20", "hook-master-start": b"unix_signal:15 gracefully_kill_them_all"}


def sock(module: str) -> Any:
    return type("socket", (), {"__module__": module})()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"gunicorn.socket": sock("gevent._socket3")} | THREADS, ("gunicorn gevent", "seen", 50)),
        ({"gunicorn.socket": sock("socket")} | THREADS, ("gunicorn threads", "seen", 50)),
        ({"gunicorn.socket": sock("socket")}, ("gunicorn", "seen", ONE)),
        (MOD_WSGI | THREADS, ("mod_wsgi", "not seen", 10)),
        (MOD_WSGI, ("mod_wsgi", "not seen", ONE)),
        (UWSGI | THREADS, ("uwsgi", "not seen", 20)),
        (UWSGI, ("uwsgi", "not seen", ONE)),
        ({"SERVER_SOFTWARE": "waitress"} | THREADS, ("waitress", "not seen", UNKNOWN)),
        ({"SERVER_SOFTWARE": "waitress", "theeye_sync.threads": 30} | THREADS, ("waitress", "not seen", 30)),
        ({"SERVER_SOFTWARE": "WSGIServer/0.2 CPython/3.11.7"}, ("wsgiref", "not seen", ONE)),
        ({"SERVER_SOFTWARE": "Werkzeug/3.1"} | THREADS, ("werkzeug", "not seen", UNKNOWN)),
        ({}, (UNKNOWN, "not seen", UNKNOWN)),
    ],
)
def test_the_server_is_known_by_its_environ(environ: dict[str, Any], expected: tuple[Any, ...]) -> None:
    modules = {"mod_wsgi": SimpleNamespace(threads_per_process=10), "uwsgi": SimpleNamespace(opt=GRACEFUL)}
    host = read_host(environ, False, 100, 50, modules)
    assert (host.server, host.disconnects, host.parallel) == expected


@pytest.mark.parametrize(
    ("environ", "opt", "told", "says"),
    [
        (MOD_WSGI, {}, True, "waits are answered"),
        (MOD_WSGI, {}, False, "waits are cut"),
        (UWSGI, GRACEFUL, False, "waits are answered"),
        (UWSGI, {"hook-master-start": [b"print:started", GRACEFUL["hook-master-start"]]}, False, "waits are answered"),
        (UWSGI, {"threads": b"20", "die-on-term": True}, False, "waits are cut"),
        ({}, GRACEFUL, False, "waits are cut"),
    ],
)
def test_what_stopping_does(environ: dict[str, Any], opt: dict[str, Any], told: bool, says: str) -> None:
    assert read_host(environ, told, 100, modules={"uwsgi": SimpleNamespace(opt=opt)}).stopping == says


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        (UWSGI | THREADS, ["host: its 20 threads are fewer than SYNC_MAX_WAITING (100); "]),
        (UWSGI, ["host: it serves one request at a time"]),
        ({"SERVER_SOFTWARE": "waitress", "theeye_sync.threads": 100}, []),
        ({}, []),
    ],
)
def test_too_few_threads_are_named(environ: dict[str, Any], words: list[str]) -> None:
    said = read_host(environ, False, 100, modules={"uwsgi": SimpleNamespace(opt=GRACEFUL)}).degraded(100)
    assert len(said) == len(words)
    assert all(line.startswith(begin) for line, begin in zip(said, words, strict=True))
