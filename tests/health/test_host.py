"""Test that the WSGI server is recognised by its environ and the modules that it embeds."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.health.host import ONE, UNKNOWN, read_host

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
        (UWSGI, ["host: the server handles one request at a time"]),
        ({"SERVER_SOFTWARE": "waitress", "theeye_sync.threads": 100}, []),
        ({}, []),
    ],
)
def test_too_few_threads_are_named(environ: dict[str, Any], words: list[str]) -> None:
    said = read_host(environ, False, 100, modules={"uwsgi": SimpleNamespace(opt=GRACEFUL)}).degraded(100)
    assert len(said) == len(words)
    assert all(line.startswith(begin) for line, begin in zip(said, words, strict=True))
