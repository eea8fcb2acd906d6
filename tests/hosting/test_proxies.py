"""Test SYNC_PROXIES: headers about the client are trusted only if the setting says so."""

from collections.abc import Callable

import pytest
from flask import Flask, request
from support.host_checks import JOB, run
from support.processes import Service, raw_request, wait_until
from support.theeye import StandIn

FORGED = {
    "X-Forwarded-For": "6.6.6.6, 7.7.7.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
}


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [
        (0, ("127.0.0.1", "http", "localhost", "")),
        (1, ("7.7.7.7", "https", "evil.example", "/evil")),
        (2, ("6.6.6.6", "http", "localhost", "")),  # two proxies would have sent two of each
    ],
)
def test_as_many_as_are_trusted(proxies: int, seen: tuple[str, ...], make_app: Callable[..., Flask]) -> None:
    app = make_app(proxies=proxies)
    found = []

    @app.before_request
    def look() -> None:
        found.append((request.remote_addr, request.scheme, request.host, request.script_root))

    assert app.test_client().get("/healthz", headers=FORGED).status_code == 200
    assert found == [seen]


SEEN = ["--access-logfile", "-", "--access-logformat", "seen %(h)s %({wsgi.url_scheme}e)s %({SCRIPT_NAME}e)s. %(U)s"]


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_by_default_nobody_is_believed(worker: str, theeye: StandIn, service: Callable[..., Service]) -> None:
    """By default gunicorn itself would trust 127.0.0.1."""
    theeye.task(delay=None)
    head = "".join(f"{name}: {value}\r\n" for name, value in (FORGED | {"SCRIPT_NAME": "/evil"}).items())
    running = service(worker, args=SEEN)
    data = f"GET /api/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n"
    assert raw_request("127.0.0.1", running.port, data.encode()).status == 200
    wait_until(lambda: "seen 127.0.0.1 http . /api/status" in running.log_text(), 20, "the access log")
    for query, prefer in (("", "respond-async"), ("wait=0", "none=1")):
        got = run(running.url, query=query, Prefer=prefer, X_Forwarded_Prefix="/evil")
        assert got.status == (504 if query else 202)
        assert got.header("Location") == f"{JOB}/{got.header('X-Job-Id')}"
