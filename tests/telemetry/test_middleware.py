"""Test that every answer has its id and its log line, whatever fails inside or outside of Flask."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response
from support.client import ask, error_of
from support.logs import LoggedService
from support.theeye import JOB

from app import errors


def test_every_answer_carries_the_id(logged: LoggedService) -> None:
    asked = [("OPTIONS", JOB), ("GET", "/nothing"), ("PUT", JOB), ("GET", "/healthz"), ("POST", JOB), ("GET", "/%2F")]
    for method, target in asked:
        got = logged.service.ask(method, target, Authorization="", Origin="https://a.example", X_Request_Id="r-back")
        assert [value for name, value in got.headers if name == "X-Request-Id"] == ["r-back"]
        exposed = got.header("Access-Control-Expose-Headers")
        assert method == "OPTIONS" or (exposed is not None and "X-Request-Id" in exposed)


@pytest.fixture
def flask(make_app: Callable[..., Flask]) -> Flask:
    """Return the application without a server, with a view that fails."""

    def fail(how: str) -> None:
        class Hopeless(errors.SyncError):
            def body(self) -> Any:
                raise RuntimeError("no body either")

        raise {"crash": RuntimeError("boom"), "hopeless": Hopeless("x"), "end": SystemExit(1)}[how]

    app = make_app(log="json")
    app.add_url_rule("/fail/<how>", view_func=fail)
    return app


def test_a_bug_is_told_once(
    flask: Flask,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    ours: logging.Logger,
) -> None:
    monkeypatch.setattr(flask.extensions["theeye_sync"].request_slots, "take", None)
    ours.addHandler(caplog.handler)
    asked = [("GET", "/fail/crash"), ("GET", "/fail/hopeless"), ("POST", JOB), ("POST", f"{JOB}/")]
    for method, target in asked:
        got = ask(flask.test_client(), method, target, X_Request_Id=f"r-{target}")
        error_of(got, 500, "EINTERNAL")
        assert got.headers["X-Request-Id"] == f"r-{target}"
    assert len(caplog.records) == 4
    assert all(record.exc_info for record in caplog.records)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["request_id"], line["status"], line["code"], line["level"]) for line in lines] == [
        (f"r-{target}", 500, "EINTERNAL", "ERROR") for _, target in asked
    ]


def test_a_request_that_the_host_ends_has_its_line(flask: Flask, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flask.test_client().get("/fail/end", headers={"X-Request-Id": "r-end"})
    assert json.loads(capfd.readouterr().out)["status"] == 500


def test_an_application_that_fails_altogether_still_answers(capfd: pytest.CaptureFixture[str], flask: Flask) -> None:
    def broken(environ: object, start: object) -> Any:
        raise RuntimeError("not even Flask")

    innermost: Any = flask.wsgi_app
    while hasattr(innermost._application, "_application"):
        innermost = innermost._application
    innermost._application = broken
    got = flask.test_client().get("/", headers={"X-Request-Id": "r-broken"})
    assert (got.status_code, got.json["code"], got.headers["X-Request-Id"]) == (500, "EINTERNAL", "r-broken")  # type: ignore[index]
    assert json.loads(capfd.readouterr().out)["code"] == "EINTERNAL"


def test_an_answer_of_unknown_length_has_its_line_at_its_end(capfd: pytest.CaptureFixture[str], flask: Flask) -> None:
    flask.add_url_rule("/stream", view_func=lambda: Response(iter(["first", "last"])))
    with flask.test_client().get("/stream", buffered=False) as got:
        assert next(got.iter_encoded()) == b"first"
        assert not capfd.readouterr().out
    assert json.loads(capfd.readouterr().out)["status"] == 200


class Restricted:
    """Restrict standard output as mod_wsgi may do."""

    def __getattr__(self, name: str) -> Any:
        raise OSError("sys.stdout access restricted")


@pytest.mark.parametrize("stdout", ["none", "restricted", "closed"])
def test_an_answer_does_not_depend_on_standard_output(
    capfd: pytest.CaptureFixture[str], flask: Flask, stdout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", {"none": None, "restricted": Restricted(), "closed": closed}[stdout])
    client = flask.test_client()
    assert [client.get(path).status_code for path in ("/nothing", "/nothing", "/healthz")] == [404, 404, 200]
    said = capfd.readouterr().err
    assert said.count("requests are not logged") == 1, said
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # no file, but it can be written
    assert client.get("/nothing").status_code == 404
    assert json.loads(sys.stdout.getvalue())["status"] == 404  # type: ignore[attr-defined]


def test_the_log_can_be_turned_off(make_app: Callable[..., Flask], capfd: pytest.CaptureFixture[str]) -> None:
    got = make_app(log="off").test_client().get("/nothing")
    assert got.status_code == 404
    assert "X-Request-Id" in got.headers
    assert capfd.readouterr() == ("", "")
