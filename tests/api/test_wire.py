"""Test requests on the wire of real gunicorn: recorded answers, the seed's bytes, paths, chunks and lengths."""

import json
from typing import Any

import pytest
from support.client import error_of
from support.processes import CHECKOUT, Service, raw_request
from support.theeye import JOB, TASK, Reply, StandIn
from support.wire import CHUNKED, HEAD, request, send, talk

GOLDEN = json.loads((CHECKOUT / "tests" / "data" / "golden_http.json").read_text())
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET,PUT,PATCH,POST,DELETE,OPTIONS",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Headers": "Origin, Accept, User-Agent, Accept-Charset, Cache-Control, Accept-Encoding, "
    "Content-Type, Authorization, Content-Length, X-Requested-With",
}
pytestmark = pytest.mark.settings(session_ttl=0, max_body=300_000)


# -- as the original ------------------------------------------------------------------------------------

CREATES = {  # what the original was answered
    "create-400": Reply(400, {"message": "refused", "errors": [1]}),
    "create-403": Reply(403, "Forbidden"),
    "create-404": Reply(404, {"message": "task not found", "statusCode": 404}),
    "create-500": Reply(500, {"message": "refused", "errors": [1]}),
}
ERRORS = {"invalid-json": (400, "EINVALID"), "unknown-path": (404, "ENOTFOUND"), "create-500": (502, "ESUPERVISOR")}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_answers_as_the_original_did(case: dict[str, Any], gunicorn: Service, its_theeye: StandIn) -> None:
    name, asked = case["name"], case["request"]
    if name in CREATES:
        refused = "task" if name == "create-404" else "create"  # a task that is not there is not created first
        its_theeye.fault(refused, CREATES[name], times=1)
    body = (asked["body"] or "").encode()
    if name == "big-200k":
        body = json.dumps({"task_arguments": ["x" * 200_000]}).encode()
    data = request(asked["method"], asked["path"].replace("TASK", TASK), asked["headers"], body)
    got = raw_request("127.0.0.1", gunicorn.port, data)
    assert got.status == {"create-500": 502, "big-200k": 200}.get(name, case["status"])
    differs = name in {*ERRORS, "big-200k", "status"}
    live = {"etag", "content-length"} if differs else set()
    if name == "other-customer":
        live = {"etag"}  # the original has these few fields in an order of their own
    if got.status == 204:
        live = {"content-length"}  # RFC 9110: never in a 204, gunicorn drops it
    for header, value in case["headers"].items():
        if header == "access-control-allow-headers" and asked["method"] == "OPTIONS":
            ours = "Prefer, Idempotency-Key, X-Request-Id, traceparent, tracestate, Last-Event-ID, Content-Encoding"
            assert got.header(header) == f"{value}, {ours}"
        elif header not in live:
            assert got.header(header) == value
    if case["body"] and not differs:
        assert json.loads(got.body) == json.loads(case["body"])
    if got.status == 401:
        assert got.header("WWW-Authenticate") == "Bearer"
    if name in ERRORS:
        error_of(got, *ERRORS[name])
    if name == "status":
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
    got = send(gunicorn, f"{JOB}?{query}access_token=tok-acme", Authorization="")
    assert got.status_line == f"HTTP/1.1 {line}"
    assert got.body == (output.encode() if query else json.dumps([output]).encode())
    wanted = {**CORS, "Content-Type": "application/json; charset=utf-8", "Content-Length": str(length), "ETag": tag}
    for name, value in wanted.items():
        assert (name, value) in got.headers, "names in the seed's own case"
    order = [name for name, _ in got.headers if name in wanted]
    assert order == list(wanted), "and in its order"


# -- where a path, a body and a header end ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        *("/acme/task/..%2f..%2fx/job", "/../task/x/job", f"/acme/task%2F{TASK}/job", f"/acme/task/{TASK}%2fjob"),
        *("/acme//task/x/job", "/acme/task/x/job//", "/acme/task//job", "/acme/task/x/jobs", "/nope", "/"),
    ],
)
def test_a_path_to_nowhere_is_404_and_costs_no_call(target: str, gunicorn: Service, its_theeye: StandIn) -> None:
    before = len(its_theeye.calls)
    error_of(send(gunicorn, target), 404, "ENOTFOUND")
    assert len(its_theeye.calls) == before


def test_a_chunked_body(gunicorn: Service, its_theeye: StandIn) -> None:
    got = raw_request("127.0.0.1", gunicorn.port, CHUNKED + b"\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")
    assert got.status == 200
    assert its_theeye.calls_of("create")[-1].body == b"[1,2]"


def test_a_chunked_body_above_the_limit_is_413(gunicorn: Service, its_theeye: StandIn) -> None:
    body = b"61A80\r\n" + b" " * 400_000 + b"\r\n0\r\n\r\n"
    error_of(raw_request("127.0.0.1", gunicorn.port, CHUNKED + b"\r\n" + body), 413, "ETOOLARGE")


BROKEN_CHUNKS = (
    b'1a\r\n{"task_arguments":[1]',
    b"3\r\n[1]XX0\r\n\r\n",
    b"zz\r\n[1]\r\n0\r\n\r\n",
    b"-1\r\n[1]\r\n0\r\n\r\n",
)


def of_length(length: bytes) -> bytes:
    return HEAD + b"Content-Length: " + length + b"\r\n\r\n[1]"


@pytest.mark.parametrize(
    ("data", "statuses", "word"),
    [
        pytest.param(of_length(b"500"), (b"400",), b"Content-Length", id="too long"),
        pytest.param(of_length(b"2"), (b"400",), b"", id="too short"),
        *((of_length(length), (b"400", b"413"), b"") for length in (b"-1", b"abc", b"1, 2", b"9" * 20)),
        *((CHUNKED + b"\r\n" + chunks, (b"400",), b"") for chunks in BROKEN_CHUNKS),
    ],
)
def test_a_body_that_is_not_as_long_as_it_says_starts_nothing(
    data: bytes, statuses: tuple[bytes, ...], word: bytes, gunicorn: Service, its_theeye: StandIn
) -> None:
    before = len(its_theeye.calls_of("create"))
    answer = talk(gunicorn, data, 10, ends=True)
    assert answer.startswith(tuple(b"HTTP/1.1 %s " % status for status in statuses))
    assert word in answer
    assert len(its_theeye.calls_of("create")) == before


ODD_LINES = ("Authorization Bearer tok-acme", "Authorization\tBearer tok-acme", "tok-acme")


def test_nothing_secret_in_the_log(gunicorn: Service, its_theeye: StandIn) -> None:
    send(gunicorn, f"{JOB}?access_token=tok-acme HTTP/9.9 x", Authorization="")
    for odd in (f"{JOB}?access_token=tok-acme\x00 HTTP/1.1", *(f"{JOB} HTTP/1.1\r\n{line}" for line in ODD_LINES)):
        raw_request("127.0.0.1", gunicorn.port, f"POST {odd}\r\n\r\n".encode())
    assert "tok-acme" not in gunicorn.log_text()


def test_preferences_in_two_headers_count_as_one(gunicorn: Service, its_theeye: StandIn) -> None:
    its_theeye.task(delay=None)
    got = send(gunicorn, Prefer="respond-async\r\nprefer: wait=0")
    assert (got.status, got.header("Preference-Applied")) == (202, "respond-async, wait=0")
