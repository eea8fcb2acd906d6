"""Test a request's record: ids, trace context, and Server-Timing, which shows the time of each step."""

import re
from time import monotonic

import pytest
from support.logs import LoggedService, newest
from support.processes import RawResponse, Service
from support.theeye import ACME, JOB, Late, Reply, StandIn

from app.telemetry.trace import begin, current

# -- request ids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "A.b_c~d:e+f/g=h@i-1", "x" * 128])
def test_a_request_id_is_taken_over(given: str) -> None:
    trace = begin({"HTTP_X_REQUEST_ID": given, "HTTP_AUTHORIZATION": "Bearer tok-acme"})
    assert (trace.request_id, trace.headers) == (given, (("X-Request-Id", given),))
    assert current() is trace


@pytest.mark.parametrize(
    "given", [None, "", "x" * 129, "a b", "a\r\nX: 1", "ñ", '"a"', "tok-acme", "1tok-acme2", "t/1"]
)
def test_a_request_id_that_cannot_be_used_is_made_anew(given: str | None) -> None:
    made = set()
    for _ in range(2):
        environ = {"HTTP_AUTHORIZATION": "Bearer tok-acme", "QUERY_STRING": "access_token=t%2F1"}
        trace = begin(environ if given is None else environ | {"HTTP_X_REQUEST_ID": given})
        assert re.fullmatch("[0-9a-f]{32}", trace.request_id)
        assert trace.headers == (("X-Request-Id", trace.request_id),)
        made.add(trace.request_id)
    assert len(made) == 2


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("parent", "state", "passed_on"),
    [
        (PARENT, None, f"traceparent: {PARENT}\r\n"),
        (PARENT, "a=1,b=2", f"traceparent: {PARENT}\r\ntracestate: a=1,b=2\r\n"),
        *((PARENT, state, f"traceparent: {PARENT}\r\n") for state in ("a=1\r\nX: 1", "a=tok-acme", "a=" + "1" * 511)),
        *((parent, "a=1", "") for parent in (PARENT.upper(), PARENT + "-01", None)),
        *((parent, None, "") for parent in ("ff" + PARENT[2:], "00-" + "0" * 32 + PARENT[35:])),
        *((parent, None, "") for parent in (PARENT[:36] + "0" * 16 + "-01", PARENT + "\r\nX: 1")),
    ],
)
def test_the_trace_context_goes_on_unchanged(parent: str | None, state: str | None, passed_on: str) -> None:
    given = {"HTTP_TRACEPARENT": parent, "HTTP_TRACESTATE": state, "HTTP_AUTHORIZATION": "Bearer tok-acme"}
    trace = begin({name: value for name, value in given.items() if value is not None})
    assert "".join(f"{name}: {value}\r\n" for name, value in trace.headers[1:]) == passed_on
    assert trace.headers[0] == ("X-Request-Id", trace.request_id)


def test_every_call_to_theeye_carries_the_id(logged: LoggedService) -> None:
    logged.theeye.task("5e00000000000000000000f1", delay=0.3)
    path = "/acme/task/5e00000000000000000000f1/job"
    before = len(logged.theeye.calls)
    new = logged.theeye.tokens.setdefault("tok-fresh", ACME)  # so that the gateway is asked
    assert new is ACME
    sent = {"Authorization": "Bearer tok-fresh", "traceparent": PARENT, "tracestate": "a=1"}
    assert logged.ask("POST", path, "r-calls", **sent) == 200
    calls = logged.theeye.calls[before:]
    assert {call.kind for call in calls} == {"profile", "task", "create", "lifecycle", "read"}
    for call in calls:
        assert (call.headers["x-request-id"], call.headers["traceparent"]) == ("r-calls", PARENT)
        assert call.headers["tracestate"] == "a=1"
    job = newest(logged)
    assert logged.ask("DELETE", f"{path}/{job}", "r-delete") == 409
    assert logged.theeye.calls[-1].headers["x-request-id"] == "r-delete"


# -- Server-Timing ----------------------------------------------------------------------------------------


def post(gunicorn: Service, query: str = "", token: str = "tok-acme") -> RawResponse:
    return gunicorn.ask("POST", JOB + query, Authorization=f"Bearer {token}")


def timing(answer: RawResponse) -> dict[str, float]:
    """Return the one header, parsed strictly: milliseconds by name, in order."""
    text = answer.header("Server-Timing") or ""
    assert re.fullmatch(r"[a-z]+;dur=\d+\.\d(, [a-z]+;dur=\d+\.\d)*", text)
    return {name: float(ms) for name, ms in re.findall(r"([a-z]+);dur=([\d.]+)", text)}


def test_each_part_is_where_its_time_goes(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.tokens["tok-timing"] = ACME
    its_theeye.task(output=["1"], delay=2.0)
    its_theeye.fault("profile", Late(0.1), times=1)
    its_theeye.fault("create", Late(0.2), times=1)
    its_theeye.fault("read", Late(0.3), times=1)
    began = monotonic()
    found = timing(post(gunicorn, token="tok-timing"))
    most = (monotonic() - began) * 1000
    assert list(found) == ["session", "create", "wait", "read", "format"]
    for name, least in (("session", 100), ("create", 200), ("wait", 150), ("read", 300)):
        assert least <= found[name], found
    assert sum(found.values()) <= most + 1, f"{found}: no time is in two parts"
    again = timing(post(gunicorn, token="tok-timing"))
    assert again["session"] < found["session"]
    assert again["read"] < found["read"]


def test_a_get_has_it_too(gunicorn: Service, its_theeye: StandIn) -> None:
    job = post(gunicorn).header("X-Job-Id")
    assert list(timing(gunicorn.ask("GET", f"{JOB}/{job}"))) == ["session", "read", "format"]
    its_theeye.task(delay=None)
    job = post(gunicorn, "?wait=0").header("X-Job-Id")
    late = gunicorn.ask("GET", f"{JOB}/{job}?wait=0.1")
    assert (late.status, list(timing(late))) == (202, ["session", "wait", "read"])


def test_errors_have_what_was_measured(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.fault("create", Reply(400, {"message": "no"}), times=1)
    refused = post(gunicorn)
    assert (refused.status, list(timing(refused))) == (400, ["session", "create"])
    its_theeye.task(delay=None)
    its_theeye.fault("lifecycle", Reply(403, {"message": "Forbidden"}))  # then each look reads, also the last one
    late = post(gunicorn, "?wait=1")
    assert (late.status, list(timing(late))) == (504, ["session", "create", "wait", "read"])
    assert timing(late)["wait"] >= 100
    assert list(timing(post(gunicorn, token="nobody"))) == ["session"]


def test_what_measured_nothing_has_none(gunicorn: Service, its_theeye: StandIn) -> None:
    assert gunicorn.ask("POST", JOB, Authorization="").header("Server-Timing") is None
    assert gunicorn.ask("GET", "/healthz").header("Server-Timing") is None
    assert gunicorn.ask("OPTIONS", JOB).header("Server-Timing") is None


def test_pages_may_read_it(gunicorn: Service, its_theeye: StandIn) -> None:
    exposed = gunicorn.ask("POST", JOB, Origin="https://app.example.org").header("Access-Control-Expose-Headers") or ""
    assert {"Server-Timing", "X-Request-Id"} <= {*exposed.split(", ")}
