"""Alive, ready, degraded, stopping: what the health pages say, and what they cost TheEye."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from support.health import GATEWAY, SUPERVISOR, probes
from support.theeye import TASK, Html, Reply, Silence, StandIn

import app
from app import health
from app.health import ONE, UNKNOWN, read_host

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
    assert 0.45 <= time.monotonic() - began < 20


def test_both_are_asked_side_by_side(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT", 30)
    parts.gateway.fault("other", Silence())
    parts.supervisor.fault("other", Silence())
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(parts.ready)
        for theeye in (parts.gateway, parts.supervisor):
            theeye.wait_for_calls("other", 1)
        assert not answer.done()
        parts.gateway.stop()
        parts.supervisor.stop()
        assert answer.result(20)[0] == 503


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
        ({"gunicorn.socket": sock("gevent._socket3")} | THREADS, ("gunicorn gevent", "seen", 100)),
        ({"gunicorn.socket": sock("socket")} | THREADS, ("gunicorn threads", "seen", 100)),
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
    host = read_host(environ, False, 100, modules)
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
    assert read_host(environ, told, 100, {"uwsgi": SimpleNamespace(opt=opt)}).stopping == says


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
    said = read_host(environ, False, 100, {"uwsgi": SimpleNamespace(opt=GRACEFUL)}).degraded(100)
    assert len(said) == len(words)
    assert all(line.startswith(begin) for line, begin in zip(said, words, strict=True))
