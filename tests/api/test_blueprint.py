"""Test that Flask answers every route, so that hooks, error handlers, signals and OpenTelemetry see each request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from support.client import ask, error_of, post
from support.theeye import JOB, TASK, Html, Reply, StandIn
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests
from werkzeug.test import TestResponse

from app import EXTENSION

RULE = "/<customer>/task/<task>/job"
TOKEN = {"Authorization": "Bearer tok-acme"}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


REQUESTS = [
    ("POST", JOB, 200, RULE),
    ("POST", f"{JOB}/", 200, RULE),
    ("POST", f"{JOB}?wait=x", 400, RULE),
    ("OPTIONS", JOB, 204, RULE),
    ("GET", f"{JOB}/0", 404, f"{RULE}/<job>"),
    ("DELETE", f"{JOB}/0", 404, f"{RULE}/<job>"),
    ("GET", "/healthz", 200, "/healthz"),
    ("HEAD", "/healthz", 200, "/healthz"),
    ("GET", "/openapi.json", 200, "/openapi.json"),
    ("PUT", JOB, 405, None),
    ("GET", "/nowhere", 404, None),
    ("OPTIONS", "/nowhere", 204, None),
    ("POST", f"/acme%2Ftask/{TASK}/job", 404, None),
    ("POST", "/acme/task/%2e%2e/job", 404, None),
    ("POST", f"//acme/task/{TASK}/job", 404, None),
]


@pytest.mark.parametrize(("method", "path", "status", "rule"), REQUESTS)
def test_a_hook_sees_every_request_and_its_rule(
    method: str, path: str, status: int, rule: str | None, app: flask.Flask, client: FlaskClient
) -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    @app.before_request
    def hook() -> None:
        matched = flask.request.url_rule
        seen.append((flask.request.method, matched and matched.rule, flask.request.endpoint))

    answer = client.open(path, method=method, headers=TOKEN, environ_overrides={"RAW_URI": path})
    assert answer.status_code == status
    assert [(method, rule)] == [found[:2] for found in seen]
    assert (seen[0][2] is not None) == (rule is not None)


@pytest.mark.parametrize(
    ("path", "allowed", "methods"),
    [(JOB, "OPTIONS, POST", "GET PUT PATCH DELETE HEAD"), (f"{JOB}/0", "DELETE, GET, HEAD, OPTIONS", "POST PUT PATCH")],
)
def test_another_method_is_405_with_allow(path: str, allowed: str, methods: str, client: FlaskClient) -> None:
    for method in methods.split():
        got = ask(client, method, path)
        assert (got.status_code, got.headers["Allow"]) == (405, allowed), method
        if method != "HEAD":
            error_of(got, 405, "EMETHOD")


def test_a_trailing_slash_is_served_without_a_redirect(client: FlaskClient) -> None:
    assert post(client, JOB + "/").status_code == 200
    assert post(client, "/" + JOB).status_code in (200, 404)


@pytest.mark.parametrize(
    "path", [f"/../task/{TASK}/job", f"/./task/{TASK}/job", "/acme/task/../job", f"/acme%2Ftask/{TASK}/job", f"{JOB}//"]
)
def test_a_path_that_is_not_what_it_looks_like_reaches_no_view(path: str, theeye: StandIn, client: FlaskClient) -> None:
    for spelling in (path, f"http://host{path}", f"{path}/"):
        answer = client.post(JOB, headers=TOKEN, environ_overrides={"RAW_URI": spelling})
        error_of(answer, 404, "ENOTFOUND")
    assert theeye.calls == []


def test_what_a_hook_answers_has_the_common_headers(app: flask.Flask, client: FlaskClient) -> None:
    @app.before_request
    def hook() -> tuple[str, int]:
        return "closed", 423

    answer = client.get("/healthz", headers={"Origin": "https://a.example"})
    assert (answer.status_code, answer.text) == (423, "closed")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_unexpected_error_is_told_to_flasks_signal_and_with_its_job(
    app: flask.Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentry listens to this signal."""
    errors: list[BaseException] = []

    def receive(sender: flask.Flask, exception: BaseException, **extra: Any) -> None:
        errors.append(exception)

    def crash(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("a bug")

    flask.got_request_exception.connect(receive, app)
    services = app.extensions[EXTENSION]
    monkeypatch.setattr(type(services.waiter), "follow", crash)
    answer = post(client)
    assert error_of(answer, 500, "EINTERNAL")["job"]["id"] == answer.headers["X-Job-Id"]
    assert isinstance(errors[0].__cause__, ZeroDivisionError)


@pytest.mark.parametrize("hook", ["before_request", "after_request", "teardown_request", "teardown_appcontext"])
def test_a_hook_that_fails_costs_neither_the_job_nor_the_common_headers_nor_shows_a_token(
    hook: str, app: flask.Flask, client: FlaskClient, theeye: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise LookupError(f"no such user: {token}")

    token = TOKEN["Authorization"].removeprefix("Bearer ")
    getattr(app, hook)(fail)
    for prefer, status in (("wait=5", 200), ("respond-async", 202)):
        answer = client.post(JOB, headers=TOKEN | {"Prefer": prefer, "Origin": "https://a.example"})
        assert answer.status_code == (status if hook.startswith("teardown") else 500)
        assert answer.headers.getlist("Access-Control-Allow-Origin") == ["https://a.example"]
        assert answer.headers.getlist("Vary") == ["Origin"]
        created = list(theeye.jobs)[-1:] if hook != "before_request" else []
        assert answer.headers.getlist("X-Job-Id") == created
    assert len(theeye.jobs) == (0 if hook == "before_request" else 2)
    assert "LookupError: no such user: ***" in caplog.text
    assert token not in caplog.text


@pytest.mark.parametrize(
    ("refusal", "code", "retry"), [(TooManyRequests(retry_after=7), "EINVALID", "7"), (ServiceUnavailable(), "", None)]
)
def test_what_an_extension_refuses_keeps_its_status_and_headers(
    refusal: HTTPException, code: str, retry: str | None, app: flask.Flask, client: FlaskClient
) -> None:
    @app.before_request
    def refuse() -> None:
        raise refusal

    answer = post(client)
    error_of(answer, refusal.code or 0, code)
    assert answer.headers.get("Retry-After") == retry
    assert answer.headers.getlist("Content-Type") == ["application/json; charset=utf-8"]


def test_a_request_inside_another_leaves_its_record(app: flask.Flask, client: FlaskClient, theeye: StandIn) -> None:
    @app.before_request
    def ask_again() -> None:
        if flask.request.path == JOB:
            assert app.test_client().get("/healthz").status_code == 200

    answer = client.post(JOB, headers=TOKEN | {"X-Request-Id": "outer"})
    assert answer.headers["X-Request-Id"] == "outer"
    assert "Server-Timing" in answer.headers
    assert {call.headers["x-request-id"] for call in theeye.calls} == {"outer"}


def test_an_extensions_own_paths_are_left_to_it(app: flask.Flask, client: FlaskClient) -> None:
    app.add_url_rule("/pages/<path:name>", "pages", lambda name: name)
    assert client.get("/pages/a/b%2fc").text == "a/b/c"


ITS_OWN = {"date", "x-request-id", "x-job-id", "location", "content-length", "etag", "server-timing"}


def comparable(answer: TestResponse) -> tuple[str, list[tuple[str, str]], Any]:
    """Return the parts of an answer that are the same for two requests that differ in a slash."""
    headers = [(name, value) for name, value in answer.headers if name.lower() not in ITS_OWN]
    body = answer.get_json(silent=True)
    if isinstance(body, dict):
        its_own = ("id", "order", "creation_date", "last_update", "job", "result_url", "message", "result")
        body = {name: None if name in its_own else value for name, value in body.items()}
    return answer.status, headers, body if body is not None else len(answer.data)


@pytest.mark.parametrize(
    "given",
    [
        *[{"path": JOB + query} for query in ("", "?full", "?result", "?parse=1", "?response", "?wait=0", "?wait=x")],
        *[{"path": JOB + query} for query in ("?on_disconnect=cancel", "?a=%2F&b[]=1")],
        *[{"data": body} for body in (b"", b"{", b'{"lifecycle":"onhold"}', b"\xff", b"1", b"[" * 5000)],
        *[{"headers": TOKEN | {"Content-Type": kind}} for kind in ("text/plain", "application/json")],
        {"headers": TOKEN | {"Prefer": "respond-async"}},
        {"headers": TOKEN | {"Idempotency-Key": "k"}},
        {"headers": TOKEN | {"Origin": "https://a.example"}},
        {"headers": {}},
        {"headers": {"Authorization": "Bearer unknown"}},
        *[{"path": f"/{name}/task/{TASK}/job"} for name in ("beta", "5e0000000000000000000001")],
        {"path": "/acme/task/0/job"},
        *[{"fault": fault} for fault in (Html(502), Reply(403, {"message": "no"}), Reply(200, "nonsense"))],
    ],
    ids=repr,
)
def test_a_trailing_slash_changes_nothing(given: dict[str, Any], theeye: StandIn, client: FlaskClient) -> None:
    sent = {"path": JOB, "headers": TOKEN, "data": b"[1]", **given}
    if fault := sent.pop("fault", None):
        theeye.fault("create", fault, times=2)
    path, mark, query = sent.pop("path").partition("?")
    without = client.post(f"{path}{mark}{query}", **sent)
    with_slash = client.post(f"{path}/{mark}{query}", **sent)
    assert comparable(without) == comparable(with_slash)


# -- OpenTelemetry -------------------------------------------------------------------------------------------


@pytest.fixture
def spans(app: flask.Flask) -> Iterator[Any]:
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = FlaskInstrumentor()
    instrumentor.instrument_app(app, tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument_app(app)
    provider.shutdown()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "route"),
    [
        ("POST", JOB, TOKEN, 200, RULE),
        ("GET", f"{JOB}/0", TOKEN, 404, f"{RULE}/<job>"),
        ("POST", JOB, {}, 401, RULE),
        ("GET", "/nowhere", {}, 404, None),
        ("PUT", JOB, {}, 405, None),
    ],
)
def test_opentelemetry_sees_one_span_with_the_routes_template(
    method: str, path: str, headers: dict[str, str], status: int, route: str | None, spans: Any, client: FlaskClient
) -> None:
    assert client.open(path, method=method, headers=headers).status_code == status
    [span] = spans.get_finished_spans()
    assert (span.attributes.get("http.route"), span.attributes.get("http.status_code")) == (route, status)
    assert span.name == f"{method} {route}" or (route is None and "<" not in span.name)


def test_theeye_gets_the_context_of_the_active_span(spans: Any, theeye: StandIn, client: FlaskClient) -> None:
    """The span continues the caller's trace, and TheEye's calls continue the span."""
    assert client.post(JOB, headers=TOKEN | {"traceparent": PARENT, "tracestate": "a=1"}).status_code == 200
    [span] = spans.get_finished_spans()
    trace_id, span_id = f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"
    assert trace_id == PARENT.split("-")[1]
    sent = [(call.headers["traceparent"], call.headers.get("tracestate")) for call in theeye.calls]
    assert {call.kind for call in theeye.calls} >= {"profile", "task", "create", "read"}
    assert set(sent) == {(f"00-{trace_id}-{span_id}-01", "a=1")}


def test_without_a_span_the_callers_context_goes_on(theeye: StandIn, client: FlaskClient) -> None:
    assert client.post(JOB, headers=TOKEN | {"traceparent": PARENT}).status_code == 200
    assert {call.headers["traceparent"] for call in theeye.calls} == {PARENT}


def test_the_query_is_parsed_once(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.api import query

    parsed: list[str] = []
    splitting = query.Query.__init__
    monkeypatch.setattr(query.Query, "__init__", lambda self, raw: parsed.append(raw) or splitting(self, raw))
    assert client.post(f"{JOB}?parse&a=1", headers=TOKEN).status_code == 200
    assert parsed == ["parse&a=1"]
    assert json.loads(client.get("/healthz").data) == {"status": "ok"}
    assert parsed == ["parse&a=1"]
