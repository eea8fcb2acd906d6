"""Test what a request, a job or TheEye could inject into a path, a header, a log line or a connection."""

import json
import re
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.client import error_of
from support.processes import RawResponse, Service, free_port, raw_request, wait_until
from support.theeye import JOB, TASK, Redirect, Reply, StandIn
from support.wire import HEAD, request, send, talk

from app.api.responses import cors_headers, job_headers, visible
from app.telemetry.redaction import redact
from app.theeye.jobs import Job

pytestmark = pytest.mark.settings(session_ttl=0)


# -- paths and queries --------------------------------------------------------------------------------------

SEGMENTS = [
    *("a;b", "a%3Bb", "a%3Fb=1", "%3F", "a%23b", "%23", "a%5Cb", "%5C..%5C..", "%252e%252e", "%252F", "...", "..a"),
    *("a%20b", "a@b:80", "%FF", "a%25b", "se%C3%B1al", "%E2%98%95", "x" * 3000),
]


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize("place", ["task", "job"])
def test_an_odd_segment_reaches_theeye_as_one(place: str, segment: str, gunicorn: Service, its_theeye: StandIn) -> None:
    """TheEye's request line has as many slashes as ours, no dot segments, and no other query."""
    if place == "task":
        got = send(gunicorn, f"/acme/task/{segment}/job", b"")
        assert error_of(got, 400, "")["message"] == "Invalid Request", "only the supervisor knows that it is no id"
    else:
        assert send(gunicorn, f"{JOB}/{segment}", b"", "GET").status in (400, 404)
    calls = [call for call in its_theeye.calls if call.kind not in ("profile", "probe")]
    assert {call.kind for call in calls} == {"task" if place == "task" else "read"}
    for call in calls:
        odd = call.target.removeprefix("/acme/task/" if place == "task" else "/acme/job/").removesuffix("/job")
        assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", odd), call.target
        assert odd not in (".", "..")


NO_SEGMENTS = [
    *("..", "%2e%2e", ".%2E", ".", "%2F", "a%2fb", "..%2f..", "%0d%0aX:1", "a%0d%0ab", "%00", "a%00b", "%0a"),
    *("%E2%80%A8", "a%7fb", "a%C2%85b"),
]


@pytest.mark.parametrize("segment", NO_SEGMENTS)
@pytest.mark.parametrize("target", ["/{}/task/" + TASK + "/job", "/acme/task/{}/job", JOB + "/{}"])
def test_a_segment_that_is_none_reaches_nobody(
    target: str, segment: str, gunicorn: Service, its_theeye: StandIn
) -> None:
    got = send(gunicorn, target.format(segment), method="GET" if target.startswith(JOB) else "POST")
    error_of(got, 404, "ENOTFOUND")
    assert its_theeye.calls == []


@pytest.mark.parametrize(
    "query",
    [
        *("a=%0d%0aX:1", "a=%0D%0A%0D%0AGET%20/x%20HTTP/1.1", "a=%00", "a=b%23c", "a=%3Faccess_token=x", "a;b"),
        "a=%E2%80%A8",
    ],
)
def test_a_query_smuggles_nothing(query: str, gunicorn: Service, its_theeye: StandIn) -> None:
    assert send(gunicorn, f"{JOB}?{query}").status == 200
    [create] = its_theeye.calls_of("create")
    assert create.target == f"{JOB}?{query}"
    assert "x" not in {name.lower() for name in create.headers}
    assert {call.kind for call in its_theeye.calls} <= {"profile", "task", "create", "lifecycle", "read"}


def test_the_bytes_of_a_body_end_with_it(gunicorn: Service, its_theeye: StandIn) -> None:
    body = json.dumps(["x\r\n\r\nPOST /acme/task/x/job HTTP/1.1\r\n\r\n"]).encode()
    assert send(gunicorn, body=body).status == 200
    assert [call.body for call in its_theeye.calls_of("create")] == [body]


# -- headers in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("byte", [b"\r", b"\n", b"\0"])
@pytest.mark.parametrize(
    "name", [b"Authorization", b"Idempotency-Key", b"Prefer", b"X-Request-Id", b"Origin", b"traceparent"]
)
def test_a_control_character_in_a_header_is_refused(
    name: bytes, byte: bytes, gunicorn: Service, its_theeye: StandIn
) -> None:
    answer = talk(gunicorn, HEAD + name + b": Bearer" + byte + b"X-Evil: 1\r\nContent-Length: 3\r\n\r\n[1]")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\nX-Evil" not in answer
    assert its_theeye.calls == []


def test_no_header_of_the_client_goes_on_to_theeye(gunicorn: Service, its_theeye: StandIn) -> None:
    """Only the token is sent on; no header changes where the service connects or what it reports about itself."""
    odd = {"Authorization": "Bearer tok-acme", "Host": "evil.example:1", "Proxy": "http://evil.example"}
    odd |= {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    odd |= {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz", "X-HTTP-Method-Override": "DELETE"}
    odd |= {"Forwarded": "host=evil.example", "Cookie": "a=b", "X-Evil": "1", "Prefer": "respond-async"}
    data = request("POST", JOB, odd, b"[1]").replace(b"Host: x\r\n", b"")
    got = raw_request("127.0.0.1", gunicorn.port, data)
    assert (got.status, got.header("Location")) == (202, f"{JOB}/{got.header('X-Job-Id')}")
    assert "evil" not in repr(got)
    for call in its_theeye.calls:
        known = {"host", "accept", "accept-encoding", "authorization", "content-type", "content-length"}
        assert {name.lower() for name in call.headers} <= known | {"x-request-id", "traceparent", "tracestate"}
        assert call.headers["host"] == f"127.0.0.1:{its_theeye.port}"
        assert "evil" not in repr(call)


@pytest.fixture
def trap() -> Iterator[int]:
    """Yield a port to which no client may connect."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:  # no other test's port until a moment ago
        yield listener.getsockname()[1]
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("scheme", ["http://", "https://", "http://user@"])
def test_an_absolute_target_is_only_a_path(scheme: str, trap: int, gunicorn: Service, its_theeye: StandIn) -> None:
    got = send(gunicorn, f"{scheme}127.0.0.1:{trap}{JOB}?parse", Prefer="respond-async")
    assert got.status == 202
    assert got.header("Location") == f"{JOB}/{got.header('X-Job-Id')}?parse"


@pytest.mark.parametrize("kind", ["profile", "create", "read"])
def test_a_redirect_of_theeyes_is_not_followed(kind: str, trap: int, gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.fault(kind, Redirect(f"http://127.0.0.1:{trap}/"))
    got = send(gunicorn, f"{JOB}?wait=1")
    assert got.status in (502, 504)
    assert got.header("Location") in (None, f"{JOB}/{got.header('X-Job-Id')}")


# -- headers out -----------------------------------------------------------------------------------------------

NASTY = ["x\r\nX-Evil: 1", "x\nX-Evil: 1", "x\r\n\r\n<script>", "\0", "\u2028", "señal", "\ud800", "x" * 5000, " "]


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("field", ["lifecycle", "state", "id"])
@pytest.mark.parametrize("kind", ["create", "read"])
def test_a_job_cannot_split_an_answer(kind: str, field: str, text: str, gunicorn: Service, its_theeye: StandIn) -> None:
    job = {"id": "61f42186c38201da00000001", "lifecycle": "finished", "state": "success", "output": []} | {field: text}
    body = json.dumps(job).encode()
    its_theeye.fault("create", Reply(200, body if kind == "create" else {**job, "id": "61f42186c38201da00000001"}))
    its_theeye.fault("read", Reply(200, body))
    check_whole(send(gunicorn, f"{JOB}?wait=0"))


@pytest.mark.parametrize("text", NASTY)
def test_theeyes_words_cannot_split_an_answer(text: str, gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.fault("create", Reply(409, json.dumps({"message": text, text: text}).encode()))
    got = send(gunicorn)
    assert got.status == 409
    check_whole(got)
    assert json.loads(got.body)["value"] == {"message": text, text: text}


def check_whole(got: RawResponse) -> None:
    assert got.complete
    assert got.header("X-Evil") is None
    for name, value in got.headers:
        assert re.fullmatch(r"[\x20-\x7e]*", value), name


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_of_a_job_is_a_legal_header(text: str) -> None:
    assert re.fullmatch(r"[\x21-\x7e]{0,100}", visible(text))
    for _, value in job_headers(Job.of({"id": text, "lifecycle": "finished", "state": text})):
        assert re.fullmatch(r"[\x21-\x7e]{0,100}", value)


# -- CORS ------------------------------------------------------------------------------------------------------


TWO = ("https://app.example.org", "https://b.example")
OTHERS = [
    *("https://app.example.org.evil.example", "https://evil.example", "http://app.example.org", "null", "*", ""),
    *("https://app.example.org:8443", "https://APP.example.org", "https://app.example.org, https://evil.example"),
]


@pytest.mark.parametrize("preflight", [False, True])
@pytest.mark.parametrize("origin", OTHERS)
def test_only_an_origin_that_was_set_is_reflected(origin: str, preflight: bool) -> None:
    got = dict(cors_headers(TWO, origin, preflight))
    assert not {"Access-Control-Allow-Origin", "Access-Control-Expose-Headers"} & got.keys()
    assert got["Vary"] == "Origin"


def test_an_origin_that_was_set_is_reflected_for_itself_alone() -> None:
    def allowed(origins: tuple[str, ...], origin: str | None) -> tuple[str | None, str | None]:
        got = dict(cors_headers(origins, origin, False))
        return got.get("Access-Control-Allow-Origin"), got.get("Vary")

    assert allowed(TWO, "https://b.example") == ("https://b.example", "Origin")
    assert allowed(("https://b.example",), None)[0] is None
    assert allowed(("*",), "null")[0] == "null", "everybody means everybody"
    assert allowed(("*",), None)[0] == "*"


def test_credentials_mean_nothing_since_there_are_no_cookies(gunicorn: Service, its_theeye: StandIn) -> None:
    got = send(gunicorn, Authorization="", Cookie="token=tok-acme", Origin="https://a.example")
    assert (got.status, got.header("Set-Cookie")) == (401, None)
    got = send(gunicorn, Authorization="Basic dG9rLWFjbWU6")
    assert (got.status, got.header("WWW-Authenticate")) == (401, "Bearer")  # no browser asks for a password


# -- logs ------------------------------------------------------------------------------------------------------


def test_a_log_line_is_one_line_whatever_a_request_holds(gunicorn: Service, its_theeye: StandIn) -> None:
    for target in (f"{JOB}/%0aFORGED", "/acme/task/%0d%0aFORGED/job", "/%0aFORGED", f"{JOB}?a=%0aFORGED"):
        send(gunicorn, target)
        talk(gunicorn, request("GET", target, {"X-A": "a\nFORGED", "Authorization": "Bearer\nFORGED"}))
    talk(gunicorn, b"GET /\nFORGED HTTP/1.1\r\n\r\n")
    talk(gunicorn, b"GET / HTTP/1.1\nFORGED\r\n\r\n")
    assert not [line for line in gunicorn.log_text().splitlines() if line.lstrip().startswith("FORGED")]


def test_a_log_line_is_one_line_whatever_theeye_calls_a_job(gunicorn: Service, its_theeye: StandIn) -> None:
    """This applies to the request's own line and to a message: the job cannot be read for a while."""
    odd = {"id": "x\nFORGED line\r\nFORGED", "lifecycle": "ready", "task_id": TASK}
    its_theeye.fault("create", Reply(200, odd), times=1)
    for kind in ("read", "lifecycle"):
        its_theeye.fault(kind, Reply(503, {}), times=50)
    assert send(gunicorn, f"{JOB}?wait=1").status == 504
    wait_until(lambda: gunicorn.log_text().count("FORGED") >= 4, 10, "the message and the line")
    told = [line for line in gunicorn.log_text().splitlines() if "FORGED" in line]
    assert all(re.match(r"\[?20\d\d-\d\d-\d\d[ T]", line) for line in told), told
    assert any("cannot be read for now" in line for line in told), told


def test_the_log_tells_no_token_whatever_fails(gunicorn: Service, its_theeye: StandIn) -> None:
    for query in ("access_token=tok-acme", "a=1&access_token=tok-acme&access_token=tok-acme"):
        send(gunicorn, f"{JOB}?{query}")
        talk(gunicorn, request("POST", f"{JOB}?{query}", {"bad header": "tok-acme"}))
        its_theeye.fault("create", Reply(500, {"message": "Bearer tok-acme"}), times=1)
        answer = talk(gunicorn, request("POST", f"{JOB}?{query}", {}, b"[1]"))
        assert b"tok-acme" not in answer
    assert "tok-acme" not in gunicorn.log_text()
    assert redact("Bearer tok-acme") == "Bearer ***"


@pytest.mark.parametrize("mode", ["", "?parse", "?result", "?full"])
def test_no_answer_repeats_the_token(mode: str, gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None)
    query = f"{mode or '?'}&access_token=tok-acme&wait=0"
    lost = send(gunicorn, JOB + query, Authorization="")
    later = send(gunicorn, JOB + query, Authorization="", Prefer="respond-async")
    its_theeye.finish()
    place = later.header("Location") or ""
    place += f"{'&' if '?' in place else '?'}access_token=tok-acme"
    again = send(gunicorn, place, b"", "GET", Authorization="")
    assert (lost.status, later.status, again.status) == (504, 202, 200)
    for got in (lost, later, again):
        for secret in ("tok-acme", "access_token"):
            assert secret not in got.body.decode() + repr(got.headers)


def test_an_answer_to_post_may_be_kept_by_nobody(gunicorn: Service, its_theeye: StandIn) -> None:
    """RFC 9110, section 9.3.3: a cache needs explicit freshness. A GET's answer says `no-store` itself."""
    got = send(gunicorn)
    assert (got.header("Cache-Control"), got.header("Expires"), got.header("Content-Location")) == (None, None, None)
    for path in (f"{JOB}/{got.header('X-Job-Id')}", f"{JOB}/nope", "/nope"):
        assert send(gunicorn, path, b"", "GET").header("Cache-Control") == "no-store"
