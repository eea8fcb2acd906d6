"""Requests on the wire of real gunicorn: recorded answers, the seed's bytes, odd paths, chunks and lengths."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from support.processes import RawResponse, Service, raw_request
from support.theeye import (
    JOB,
    TASK,
    Reply,
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


pytestmark = pytest.mark.settings(session_ttl=0, call_timeout=2, max_body=300_000)


def post(
    gunicorn: Service, target: str = JOB, body: bytes = b'{"task_arguments":[100]}', **headers: str
) -> RawResponse:
    """One POST, its target sent as it is written."""
    sent = {"Host": "x", "Content_Type": "application/json", "Authorization": "Bearer tok-acme", **headers}
    lines = [
        f"POST {target} HTTP/1.1",
        *(f"{name.replace('_', '-')}: {value}" for name, value in sent.items() if value),
    ]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1")
    return raw_request("127.0.0.1", gunicorn.port, head + body)


def shape(response: RawResponse) -> dict[str, Any]:
    """The error body, after a check of TheEye's shape, CORS and the absence of tokens and stacks."""
    body, status, origin = response.body, response.status, response.header("Access-Control-Allow-Origin")
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


def golden_fault(case: dict[str, Any], its_theeye: StandIn) -> None:
    """Arms the answer that the original was given."""
    answers = {
        "create-400": Reply(400, {"message": "refused", "errors": [1]}),
        "create-403": Reply(403, "Forbidden"),
        "create-404": Reply(404, {"message": "task not found", "statusCode": 404}),
        "create-500": Reply(500, {"message": "refused", "errors": [1]}),
    }
    if case["name"] in answers:
        its_theeye.fault("create", answers[case["name"]], times=1)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_answers_as_the_original_did(case: dict[str, Any], gunicorn: Service, its_theeye: StandIn) -> None:
    golden_fault(case, its_theeye)
    asked = case["request"]
    body = (asked["body"] or "").encode()
    if case["name"] == "big-200k":
        body = json.dumps({"task_arguments": ["x" * 200_000]}).encode()
    headers = {"host": "x", "content-length": str(len(body)), **asked["headers"]}
    lines = [f"{asked['method']} {asked['path'].replace('TASK', TASK)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    got = raw_request("127.0.0.1", gunicorn.port, "\r\n".join([*lines, "", ""]).encode() + body)
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
    query: str, output: str, state: str, line: str, length: int, tag: str, gunicorn: Service, its_theeye: StandIn
) -> None:
    its_theeye.task(output=[output], state=state)
    got = post(gunicorn, f"{JOB}?{query}access_token=tok-acme", Authorization="")
    assert got.status_line == f"HTTP/1.1 {line}"
    assert got.body == (output.encode() if query else json.dumps([output]).encode())
    wanted = {**CORS, "Content-Type": "application/json; charset=utf-8", "Content-Length": str(length), "ETag": tag}
    for name, value in wanted.items():
        assert (name, value) in got.headers, "names in the seed's own case"
    order = [name for name, _ in got.headers if name in wanted]
    assert order == list(wanted), "and in its order"


@pytest.mark.parametrize(
    "segment",
    ["%3F", "a%20b", "a;b", "a%3Bb", "x" * 3000, "se%C3%B1al", "%E2%98%95", "%252e%252e", "a%25b", "%23", "..a"],
)
def test_an_odd_task_id_stays_one_segment(segment: str, gunicorn: Service, its_theeye: StandIn) -> None:
    before = len(its_theeye.calls_of("create"))
    got = post(gunicorn, f"/acme/task/{segment}/job")
    assert got.status == 400, "the supervisor refuses ids that are not 24 hex digits"
    assert shape(got)["message"] == "Invalid Request"
    creates = its_theeye.calls_of("create")
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
def test_a_path_that_leads_nowhere_is_404_and_costs_no_call(
    target: str, gunicorn: Service, its_theeye: StandIn
) -> None:
    before = len(its_theeye.calls)
    got = post(gunicorn, target)
    assert got.status == 404
    assert shape(got)["code"] == "ENOTFOUND"
    assert len(its_theeye.calls) == before


def test_a_chunked_body(gunicorn: Service, its_theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = raw_request("127.0.0.1", gunicorn.port, head.encode() + b"3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")
    assert got.status == 200
    assert its_theeye.calls_of("create")[-1].body == b"[1,2]"


def test_a_chunked_body_above_the_limit_is_413(gunicorn: Service, its_theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = raw_request("127.0.0.1", gunicorn.port, head.encode() + b"61A80\r\n" + b" " * 400_000 + b"\r\n0\r\n\r\n")
    assert got.status == 413
    assert shape(got)["code"] == "ETOOLARGE"


def test_a_content_length_that_promises_too_much_is_400(gunicorn: Service, its_theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nContent-Length: 500\r\n\r\n[1]"
    before = len(its_theeye.calls_of("create"))
    with socket.create_connection(("127.0.0.1", gunicorn.port), 10) as sock:
        sock.sendall(head.encode())
        sock.shutdown(socket.SHUT_WR)
        answer = sock.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Length" in answer
    assert len(its_theeye.calls_of("create")) == before


def test_a_content_length_that_promises_too_little_cuts_the_body(gunicorn: Service, its_theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nContent-Length: 2\r\n\r\n[1]"
    assert raw_request("127.0.0.1", gunicorn.port, head.encode()).status == 400


@pytest.mark.parametrize("length", ["-1", "abc", "1, 2", "99999999999999999999"])
def test_a_content_length_that_is_no_length_is_refused(length: str, gunicorn: Service, its_theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nContent-Length: {length}\r\n\r\n[1]"
    assert raw_request("127.0.0.1", gunicorn.port, head.encode()).status in (400, 413)


@pytest.mark.parametrize(
    "rest",
    [b'1a\r\n{"task_arguments":[1]', b"zz\r\n[1]\r\n0\r\n\r\n", b"-1\r\n[1]\r\n0\r\n\r\n", b"3\r\n[1]XX0\r\n\r\n"],
)
def test_chunks_that_break_off_or_are_none_are_400(rest: bytes, gunicorn: Service, its_theeye: StandIn) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nTransfer-Encoding: chunked\r\n\r\n"
    before = len(its_theeye.calls_of("create"))
    with socket.create_connection(("127.0.0.1", gunicorn.port), 10) as sock:
        sock.sendall(head.encode() + rest)
        sock.shutdown(socket.SHUT_WR)
        answer = sock.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert len(its_theeye.calls_of("create")) == before


def test_nothing_secret_in_the_log(gunicorn: Service, its_theeye: StandIn) -> None:
    post(gunicorn, f"{JOB}?access_token=tok-acme HTTP/9.9 x", Authorization="")
    raw_request("127.0.0.1", gunicorn.port, f"POST {JOB}?access_token=tok-acme\x00 HTTP/1.1\r\n\r\n".encode())
    raw_request("127.0.0.1", gunicorn.port, f"POST {JOB} HTTP/1.1\r\nAuthorization Bearer tok-acme\r\n\r\n".encode())
    raw_request("127.0.0.1", gunicorn.port, f"POST {JOB} HTTP/1.1\r\nAuthorization\tBearer tok-acme\r\n\r\n".encode())
    raw_request("127.0.0.1", gunicorn.port, f"POST {JOB} HTTP/1.1\r\ntok-acme\r\n\r\n".encode())
    assert "tok-acme" not in gunicorn.log_text()


@pytest.mark.parametrize("segment", ["..", ".", "%2e%2e", "a%2Fb", "a%00", "a%0d%0ab"])
def test_an_odd_segment_leads_nowhere(segment: str, gunicorn: Service, its_theeye: StandIn) -> None:
    before = len(its_theeye.calls)
    lines = f"GET {JOB}/{segment} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nConnection: close\r\n\r\n"
    assert raw_request("127.0.0.1", gunicorn.port, lines.encode()).status == 404
    assert len(its_theeye.calls) == before


def test_preferences_in_two_headers_count_as_one(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None)
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nConnection: close\r\n"
    prefer = "Prefer: respond-async\r\nprefer: wait=0\r\n\r\n"
    got = raw_request("127.0.0.1", gunicorn.port, (head + prefer).encode())
    assert (got.status, got.header("Preference-Applied")) == (202, "respond-async, wait=0")
