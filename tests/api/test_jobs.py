"""The HTTP interface on real gunicorn, in front of a stand-in: recorded answers, seed's bytes, and bad input."""

import base64
import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.processes import RawResponse, Service, raw_request
from support.theeye import (
    JOB,
    TASK,
    CloseAfter,
    CloseBefore,
    HalfBody,
    Html,
    Redirect,
    Reply,
    Reset,
    Silence,
    Stack,
    StandIn,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden_http.json").read_text())
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET,PUT,PATCH,POST,DELETE,OPTIONS",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Headers": "Origin, Accept, User-Agent, Accept-Charset, Cache-Control, Accept-Encoding, "
    "Content-Type, Authorization, Content-Length, X-Requested-With",
}


@pytest.fixture(scope="module")
def shared_theeye() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def service(request: pytest.FixtureRequest, shared_theeye: StandIn) -> Iterator[Service]:
    env = {
        "SYNC_GATEWAY_URL": shared_theeye.url,
        "SYNC_SUPERVISOR_URL": shared_theeye.url,
        "SYNC_SESSION_TTL": "0",
        "SYNC_CALL_TIMEOUT": "2",
        "SYNC_MAX_BODY": "300000",
        "SYNC_MAX_JOB": "5000000",
    }
    with Service(env, worker=request.param) as running:
        yield running


@pytest.fixture
def theeye(shared_theeye: StandIn) -> Iterator[StandIn]:
    """The shared stand-in, as new."""
    shared_theeye.heal()
    shared_theeye.task(output=['{"a":1}'])
    yield shared_theeye
    shared_theeye.heal()


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def post(service: Service, target: str = JOB, body: bytes = b'{"task_arguments":[100]}', **headers: str) -> RawResponse:
    """One POST, its target sent as it is written."""
    sent = {"Host": "x", "Content_Type": "application/json", "Authorization": "Bearer tok-acme", **headers}
    lines = [
        f"POST {target} HTTP/1.1",
        *(f"{name.replace('_', '-')}: {value}" for name, value in sent.items() if value),
    ]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1")
    return raw_request("127.0.0.1", service.port, head + body)


def shape(response: RawResponse | requests.Response) -> dict[str, Any]:
    """The error body, after a check of TheEye's shape, CORS and the absence of tokens and stacks."""
    if isinstance(response, RawResponse):
        body, status, origin = response.body, response.status, response.header("Access-Control-Allow-Origin")
    else:
        body, status = response.content, response.status_code
        origin = response.headers.get("Access-Control-Allow-Origin")
    error = json.loads(body)
    assert error["statusCode"] == error["status"] == status
    assert error["name"] == ("ClientError" if status < 500 else "ServerError")
    assert error["message"]
    assert isinstance(error["code"], str)
    assert origin == "*"
    assert b"tok-acme" not in body
    assert b"stack" not in body
    assert b"Traceback" not in body
    return error


# -- as the original ------------------------------------------------------------------------------------


def golden_fault(case: dict[str, Any], theeye: StandIn) -> None:
    """Arms the answer that the original was given."""
    answers = {
        "create-400": Reply(400, {"message": "refused", "errors": [1]}),
        "create-403": Reply(403, "Forbidden"),
        "create-404": Reply(404, {"message": "task not found", "statusCode": 404}),
        "create-500": Reply(500, {"message": "refused", "errors": [1]}),
    }
    if case["name"] in answers:
        theeye.fault("create", answers[case["name"]], times=1)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_answers_as_the_original_did(case: dict[str, Any], service: Service, theeye: StandIn) -> None:
    golden_fault(case, theeye)
    asked = case["request"]
    body = (asked["body"] or "").encode()
    if case["name"] == "big-200k":
        body = json.dumps({"task_arguments": ["x" * 200_000]}).encode()
    headers = {"host": "x", "content-length": str(len(body)), **asked["headers"]}
    lines = [f"{asked['method']} {asked['path'].replace('TASK', TASK)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    got = raw_request("127.0.0.1", service.port, "\r\n".join([*lines, "", ""]).encode() + body)
    expected = {
        "create-500": 502,
        "big-200k": 200,
    }.get(case["name"], case["status"])
    assert got.status == expected
    differs = case["name"] in {"invalid-json", "big-200k", "unknown-path", "create-500", "status"}
    live = {"etag", "content-length"} if differs else set()
    if case["name"] == "other-customer":
        live = {"etag"}  # the original has these few fields in an order of their own
    if got.status == 204:
        live = {"content-length"}  # RFC 9110: never in a 204, gunicorn drops it
    for name, value in case["headers"].items():
        if name == "access-control-allow-headers" and asked["method"] == "OPTIONS":
            assert got.header(name) == f"{value}, Prefer, Idempotency-Key, X-Request-Id"
        elif name not in live:
            assert got.header(name) == value
    if case["body"] and not differs:
        assert json.loads(got.body) == json.loads(case["body"])
    if got.status == 401:
        assert got.header("WWW-Authenticate") == "Bearer"
    if case["name"] in {"invalid-json", "unknown-path", "create-500"}:
        shape(got)
    if case["name"] == "status":
        assert json.loads(got.body).keys() == json.loads(case["body"]).keys()


OUTPUT_200 = '{"name":"tomer","date":"2022-01-28T17:00:22.676Z"}'
OUTPUT_PARSE = '{"name":"tomer","date":"2022-01-28T16:26:41.201Z"}'
OUTPUT_418 = (
    '{"message":"Validation Error. Invalid Argument Value","statusCode":418,"name":"ClientError",'
    '"code":"","status":418}'
)
SEED = [  # query, output, state, status line, length, tag and body of the seed's examples
    ("", OUTPUT_418, "failure", "500 Internal Server Error", 135, 'W/"87-+Fzdxc2Q7NsFIfhclF3lcqgSScY"'),
    ("", OUTPUT_200, "success", "200 OK", 62, 'W/"3e-Earn8PE7JwarkhTciq4Sn4inI3g"'),
    ("parse&", OUTPUT_PARSE, "success", "200 OK", 50, 'W/"32-QGrCXrCY2sEcc1V/fL6omhdvPKY"'),
    ("parse&", OUTPUT_418, "failure", "418 I'm a Teapot", 115, 'W/"73-FBmPIgGdDNzn6NM27joxlSUMWp4"'),
]


@pytest.mark.parametrize(("query", "output", "state", "line", "length", "tag"), SEED)
def test_the_seeds_examples_to_the_byte(
    query: str, output: str, state: str, line: str, length: int, tag: str, service: Service, theeye: StandIn
) -> None:
    theeye.task(output=[output], state=state)
    got = post(service, f"{JOB}?{query}access_token=tok-acme", Authorization="")
    assert got.status_line == f"HTTP/1.1 {line}"
    assert got.body == (output.encode() if query else json.dumps([output]).encode())
    wanted = {**CORS, "Content-Type": "application/json; charset=utf-8", "Content-Length": str(length), "ETag": tag}
    for name, value in wanted.items():
        assert (name, value) in got.headers, "names in the seed's own case"
    order = [name for name, _ in got.headers if name in wanted]
    assert order == list(wanted), "and in its order"


def test_etag_is_the_originals() -> None:
    from app.api.responses import etag

    digest = base64.b64encode(hashlib.sha1(b"[]").digest()).decode()
    assert etag(b"[]") == f'W/"2-{digest[:27]}"'


# -- what is passed on ----------------------------------------------------------------------------------


def test_one_request_makes_these_calls(service: Service, theeye: StandIn) -> None:
    before = len(theeye.calls)
    got = post(service, f"{JOB}?parse=0&a=1&lifecycle=onhold&wait=5", b'{"task_arguments":[100],"wait_result":true}')
    assert got.status == 200
    calls = theeye.calls[before:]
    assert [call.kind for call in calls[:2]] == ["profile", "create"]
    assert {call.kind for call in calls[2:]} <= {"lifecycle", "read"}
    create = calls[1]
    assert create.target == f"{JOB}?a=1"
    assert create.body == b'{"task_arguments":[100]}'
    for call in calls:
        assert call.headers["authorization"] == "Bearer tok-acme"
        assert call.headers["accept"] == "application/json"
        assert "tok-acme" not in call.target


@pytest.mark.parametrize("body", [b"", b"[1,2]", b'{"x":"se\xc3\xb1al"}', b"[" + b"7" * 4000 + b"]"])
def test_bodies_are_passed_on_as_they_came(body: bytes, service: Service, theeye: StandIn) -> None:
    assert post(service, body=body).status == 200
    assert theeye.calls_of("create")[-1].body == body


def test_a_form_is_passed_on_as_json(service: Service, theeye: StandIn) -> None:
    form = b"task_arguments=1&task_arguments=2&lifecycle=onhold"
    assert post(service, body=form, Content_Type="application/x-www-form-urlencoded").status == 200
    create = theeye.calls_of("create")[-1]
    assert json.loads(create.body) == {"task_arguments": ["1", "2"]}
    assert create.headers["content-type"] == "application/json"


def test_the_customers_id_is_translated_to_its_name(service: Service, theeye: StandIn) -> None:
    assert post(service, f"/5e0000000000000000000001/task/{TASK}/job").status == 200
    assert theeye.calls_of("create")[-1].path == JOB


def test_a_chunked_body(service: Service, theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = raw_request("127.0.0.1", service.port, head.encode() + b"3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")
    assert got.status == 200
    assert theeye.calls_of("create")[-1].body == b"[1,2]"


# -- paths ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "segment",
    ["%3F", "a%20b", "a;b", "a%3Bb", "x" * 3000, "se%C3%B1al", "%E2%98%95", "%252e%252e", "a%25b", "%23", "..a"],
)
def test_an_odd_task_id_stays_one_segment(segment: str, service: Service, theeye: StandIn) -> None:
    before = len(theeye.calls_of("create"))
    got = post(service, f"/acme/task/{segment}/job")
    assert got.status == 400, "the supervisor refuses ids that are not 24 hex digits"
    assert shape(got)["message"] == "Invalid Request"
    creates = theeye.calls_of("create")
    assert len(creates) == before + 1
    assert creates[-1].path.startswith("/acme/task/")
    assert creates[-1].path.count("/") == 4
    assert creates[-1].query == []


@pytest.mark.parametrize(
    "target",
    [
        "/acme/task/..%2f..%2fx/job",
        "/acme/task/%2e%2e/job",
        "/acme/task/../job",
        "/acme/task/./job",
        "/../task/x/job",
        "/acme/task/a%00b/job",
        "/acme/task/a%0d%0ab/job",
        "/acme/task/a%7fb/job",
        "/acme/task/a%C2%85b/job",
        "/acme/task/a%2Fb/job",
        f"/acme/task%2F{TASK}/job",
        f"/acme/task/{TASK}%2fjob",
        "/acme//task/x/job",
        "/acme/task/x/job//",
        "/acme/task//job",
        "/acme/task/x/jobs",
        "/nope",
        "/",
    ],
)
def test_a_path_that_leads_nowhere_is_404_and_costs_no_call(target: str, service: Service, theeye: StandIn) -> None:
    before = len(theeye.calls)
    got = post(service, target)
    assert got.status == 404
    assert shape(got)["code"] == "ENOTFOUND"
    assert len(theeye.calls) == before


def test_a_trailing_slash_is_served_without_a_redirect(service: Service, theeye: StandIn) -> None:
    assert post(service, JOB + "/").status == 200
    assert post(service, "/" + JOB).status in (200, 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_another_method_is_405_with_allow(
    method: str, service: Service, theeye: StandIn, http: requests.Session
) -> None:
    got = http.request(method, service.url + JOB)
    assert got.status_code == 405
    assert got.headers["Allow"] == "OPTIONS, POST"
    if method != "HEAD":
        assert shape(got)["code"] == "EMETHOD"


# -- sessions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Reply(500, {"message": "x"}),
        Html(503),
        Reset(),
        HalfBody(),
        Reply(200, b"<html>"),
        Reply(200, {}),
        Reply(200, []),
    ],
)
def test_a_gateway_that_fails_is_502_not_401(fault: Any, service: Service, theeye: StandIn) -> None:
    theeye.fault("profile", fault, times=1)
    got = post(service)
    assert got.status == 502
    assert shape(got)["code"] == "EGATEWAY"
    assert got.header("WWW-Authenticate") is None


def test_a_silent_gateway_is_502_within_the_call_timeout(service: Service, theeye: StandIn) -> None:
    theeye.fault("profile", Silence(), times=1)
    assert shape(post(service))["code"] == "EGATEWAY"


@pytest.mark.parametrize("token", ["a%0d%0aX:%20y", "%00", "se%C3%B1al", "a%20b", ""])
def test_odd_tokens_are_401_and_cost_no_call(token: str, service: Service, theeye: StandIn) -> None:
    before = len(theeye.calls)
    got = post(service, f"{JOB}?access_token={token}", Authorization="")
    assert got.status == 401
    assert got.body == b'"Unauthorized"'
    assert len(theeye.calls) == before


def test_a_token_with_symbols_is_asked_about_as_it_is(service: Service, theeye: StandIn) -> None:
    got = post(service, Authorization="Bearer a'\"<&>~+/=")
    assert got.status == 401
    assert theeye.calls_of("profile")[-1].headers["authorization"] == "Bearer a'\"<&>~+/="


def test_another_customers_session_is_forbidden(service: Service, theeye: StandIn) -> None:
    before = len(theeye.calls_of("create"))
    got = post(service, Authorization="Bearer tok-beta")
    assert got.status == 403
    assert shape(got)["code"] == "EORACC"
    assert len(theeye.calls_of("create")) == before


# -- bodies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b'{"a"', b'"text"', b"5", b"null", b"[NaN]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_or_array_is_400(body: bytes, service: Service, theeye: StandIn) -> None:
    before = len(theeye.calls_of("create"))
    got = post(service, body=body)
    assert got.status == 400
    assert shape(got)["code"] == "EINVALID"
    assert len(theeye.calls_of("create")) == before


def test_a_wrong_content_type_is_415(service: Service, theeye: StandIn) -> None:
    got = post(service, Content_Type="text/xml")
    assert got.status == 415
    assert shape(got)["code"] == "EMEDIATYPE"


def test_a_body_above_the_limit_is_413(service: Service, theeye: StandIn) -> None:
    got = post(service, body=b"[" + b" " * 300_000 + b"]")
    assert got.status == 413
    assert shape(got)["code"] == "ETOOLARGE"
    assert post(service, body=b"[" + b" " * 299_990 + b"]").status == 200


def test_a_chunked_body_above_the_limit_is_413(service: Service, theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = raw_request("127.0.0.1", service.port, head.encode() + b"61A80\r\n" + b" " * 400_000 + b"\r\n0\r\n\r\n")
    assert got.status == 413
    assert shape(got)["code"] == "ETOOLARGE"


def test_a_content_length_that_promises_too_much_is_400(service: Service, theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nContent-Length: 500\r\n\r\n[1]"
    before = len(theeye.calls_of("create"))
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(head.encode())
        sock.shutdown(socket.SHUT_WR)
        answer = sock.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Length" in answer
    assert len(theeye.calls_of("create")) == before


def test_a_content_length_that_promises_too_little_cuts_the_body(service: Service, theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nContent-Length: 2\r\n\r\n[1]"
    assert raw_request("127.0.0.1", service.port, head.encode()).status == 400


@pytest.mark.parametrize("length", ["-1", "abc", "1, 2", "99999999999999999999"])
def test_a_content_length_that_is_no_length_is_refused(length: str, service: Service, theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nContent-Length: {length}\r\n\r\n[1]"
    assert raw_request("127.0.0.1", service.port, head.encode()).status in (400, 413)


@pytest.mark.parametrize(
    "rest",
    [b'1a\r\n{"task_arguments":[1]', b"zz\r\n[1]\r\n0\r\n\r\n", b"-1\r\n[1]\r\n0\r\n\r\n", b"3\r\n[1]XX0\r\n\r\n"],
)
def test_chunks_that_break_off_or_are_none_are_400(rest: bytes, service: Service, theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nTransfer-Encoding: chunked\r\n\r\n"
    before = len(theeye.calls_of("create"))
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        sock.sendall(head.encode() + rest)
        sock.shutdown(socket.SHUT_WR)
        answer = sock.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert len(theeye.calls_of("create")) == before


# -- the create's fate ----------------------------------------------------------------------------------


def test_the_supervisors_refusal_keeps_its_words_but_no_stack(service: Service, theeye: StandIn) -> None:
    words = {"message": "no\n    at f (x.js:1:1)", "stack": "Error: x", "errors": [{"stack": "y", "why": "z tok-acme"}]}
    theeye.fault("create", Reply(422, words), times=1)
    got = post(service)
    assert got.status == 422
    assert shape(got)["value"] == {"message": "no", "errors": [{"why": "z ***"}]}


@pytest.mark.parametrize(
    "fault", [Reply(500, {"m": 1}), Html(502), Stack(500), Redirect("http://127.0.0.1:1/"), Reply(303, b"")]
)
def test_a_supervisor_that_fails_is_502(fault: Any, service: Service, theeye: StandIn) -> None:
    theeye.fault("create", fault, times=1)
    before = len(theeye.calls_of("create"))
    got = post(service)
    assert got.status == 502
    assert shape(got)["code"] == "ESUPERVISOR"
    assert len(theeye.calls_of("create")) == before + 1


@pytest.mark.parametrize("fault", [CloseBefore(), CloseAfter(), Reset(), HalfBody(), Silence()])
def test_a_create_whose_answer_was_lost_is_504_and_never_repeated(
    fault: Any, service: Service, theeye: StandIn
) -> None:
    theeye.fault("create", fault, times=1)
    before = len(theeye.calls_of("create"))
    got = post(service)
    assert got.status == 504
    error = shape(got)
    assert error["code"] == "EOUTCOMEUNKNOWN"
    assert "may have started" in error["message"]
    assert len(theeye.calls_of("create")) == before + 1


@pytest.mark.parametrize("fault", [Reply(200, b"<html>"), Reply(200, {"no": "id"}), Reply(200, b"")])
def test_a_create_answered_with_nonsense_says_that_it_may_have_started(
    fault: Any, service: Service, theeye: StandIn
) -> None:
    theeye.fault("create", fault, times=1)
    got = post(service)
    assert got.status == 502
    error = shape(got)
    assert error["code"] == "EOUTCOMEUNKNOWN"
    assert "may have started" in error["message"]


@pytest.mark.parametrize(
    ("status", "code", "fate"),
    [
        (202, "EOUTCOMEUNKNOWN", "may have started"),
        (204, "EOUTCOMEUNKNOWN", "may have started"),
        (303, "ESUPERVISOR", "may have started"),
        (301, "ESUPERVISOR", "nothing was started"),
        (500, "ESUPERVISOR", "may have started"),
    ],
)
def test_an_odd_status_of_the_create_says_what_it_means(
    status: int, code: str, fate: str, service: Service, theeye: StandIn
) -> None:
    theeye.fault("create", Reply(status, b""), times=1)
    got = post(service)
    assert got.status == 502
    assert shape(got)["code"] == code
    assert fate in shape(got)["message"]


def test_the_supervisors_401_is_ours(service: Service, theeye: StandIn) -> None:
    theeye.fault("create", Reply(401, "Unauthorized"), times=1)
    got = post(service)
    assert (got.status, got.body, got.header("WWW-Authenticate")) == (401, b'"Unauthorized"', "Bearer")


# -- job headers and CORS ---------------------------------------------------------------------------------


def test_the_job_stands_in_the_headers(service: Service, theeye: StandIn) -> None:
    theeye.task(state="se\xf1al\r\nX: %1 " + "a" * 200, lifecycle="terminated")
    got = post(service)
    assert got.status == 500
    assert got.header("X-Job-Id") in theeye.jobs
    assert got.header("X-Job-Lifecycle") == "terminated"
    state = got.header("X-Job-State")
    assert state is not None
    assert state.startswith("se%C3%B1al%0D%0AX:%20%251%20aaa")
    assert len(state) <= 100


def test_an_origin_is_reflected_with_our_headers_exposed(service: Service, theeye: StandIn) -> None:
    got = post(service, Origin="https://app.example")
    assert got.header("Access-Control-Allow-Origin") == "https://app.example"
    assert got.header("Vary") == "Origin"
    assert "X-Job-Id" in (got.header("Access-Control-Expose-Headers") or "")


def test_204_carries_no_body(service: Service, theeye: StandIn) -> None:
    theeye.task(output=['{"statusCode":204}'])
    got = post(service, JOB + "?parse")
    assert (got.status, got.body, got.header("Content-Length"), got.header("ETag")) == (204, b"", None, None)


# -- health -------------------------------------------------------------------------------------------------


def test_health_needs_no_token_and_is_not_stored(service: Service, theeye: StandIn, http: requests.Session) -> None:
    for path in ("/healthz", "/readyz", "/api/status"):
        got = http.get(service.url + path)
        assert got.status_code == 200, got.text
        assert got.headers["Cache-Control"] == "no-store"


def test_nothing_secret_in_the_log(service: Service, theeye: StandIn) -> None:
    post(service, f"{JOB}?access_token=tok-acme HTTP/9.9 x", Authorization="")
    raw_request("127.0.0.1", service.port, f"POST {JOB}?access_token=tok-acme\x00 HTTP/1.1\r\n\r\n".encode())
    raw_request("127.0.0.1", service.port, f"POST {JOB} HTTP/1.1\r\nAuthorization Bearer tok-acme\r\n\r\n".encode())
    raw_request("127.0.0.1", service.port, f"POST {JOB} HTTP/1.1\r\nAuthorization\tBearer tok-acme\r\n\r\n".encode())
    raw_request("127.0.0.1", service.port, f"POST {JOB} HTTP/1.1\r\ntok-acme\r\n\r\n".encode())
    assert "tok-acme" not in service.log_text()
