"""The short way past Flask answers like Flask, and tells the same: a trailing slash is what takes the long one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from servers import RawResponse, Service, free_port, raw_request, wait_until
from standin import TASK, Html, Reply, StandIn

ITS_OWN = {"date", "x-request-id", "x-job-id", "location"}  # of each request; Server-Timing is compared by its names
QUERIES = [
    "",
    "?full",
    "?result",
    "?parse=1",
    "?response",
    "?wait=0",
    "?wait=x",
    "?on_disconnect=cancel",
    "?a=%2F&b[]=1",
]
BODIES = [b"", b"[1]", b"{", b'{"lifecycle":"onhold"}', b"\xff", b"1", b"[" * 5000]
HEADERS = ["Prefer: respond-async", "Content-Type: text/plain", "Idempotency-Key: k", "Origin: https://a.example"]
OTHERS = ["/beta/task/{task}/job", "/acme/task/0/job", "/5e0000000000000000000001/task/{task}/job"]
JOB = "/acme/task/{task}/job"


@pytest.fixture(scope="module")
def theeye() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def service(theeye: StandIn) -> Iterator[Service]:
    env = {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url, "SYNC_LOG": "json"}
    with Service(env | {"SYNC_METRICS_BIND": f"127.0.0.1:{free_port()}"}) as running:
        yield running


def post(
    service: Service, path: str, body: bytes = b"[1]", header: str = "X: y", token: str = "tok-acme"
) -> RawResponse:
    lines = [f"POST {path.format(task=TASK)} HTTP/1.1", "Host: x", header, f"Content-Length: {len(body)}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    return raw_request("127.0.0.1", service.port, "\r\n".join([*lines, "", ""]).encode() + body)


def told(answer: RawResponse) -> tuple[str, list[tuple[str, str]], int]:
    """What must be the same both ways."""
    headers = [
        (name, ",".join(part.partition(";")[0] for part in value.split(",")) if name == "Server-Timing" else value)
        for name, value in answer.headers
        if name.lower() not in ITS_OWN | {"content-length", "etag"}
    ]
    return answer.status_line, headers, len(answer.body)


def check_both_ways(service: Service, path: str, **given: str | bytes) -> None:
    short = post(service, path, **given)  # type: ignore[arg-type]
    where, mark, query = path.partition("?")
    long = post(service, f"{where}/{mark}{query}", **given)  # type: ignore[arg-type]
    both = told(short), told(long)
    if b" not found" in short.body + long.body:  # the path itself is quoted
        both = both[0][:2], both[1][:2]  # type: ignore[assignment]
    assert both[0] == both[1]


@pytest.mark.parametrize("query", QUERIES)
def test_queries(service: Service, query: str) -> None:
    check_both_ways(service, JOB + query)


@pytest.mark.parametrize("body", BODIES, ids=repr)
def test_bodies(service: Service, body: bytes) -> None:
    check_both_ways(service, JOB, body=body)


@pytest.mark.parametrize("header", HEADERS)
def test_headers(service: Service, header: str) -> None:
    check_both_ways(service, JOB, header=header)


@pytest.mark.parametrize("path", OTHERS)
def test_paths(service: Service, path: str) -> None:
    check_both_ways(service, path)


@pytest.mark.parametrize("token", ["", "unknown"])
def test_tokens(service: Service, token: str) -> None:
    check_both_ways(service, JOB, token=token)


@pytest.mark.parametrize("fault", [Html(502), Reply(403, {"message": "no"}), Reply(200, "nonsense")], ids=repr)
def test_faults(service: Service, theeye: StandIn, fault: Reply) -> None:
    theeye.fault("create", fault, times=2)
    check_both_ways(service, JOB)
    theeye.heal()


@pytest.mark.parametrize(
    "path", ["/../task/{task}/job", "/./task/{task}/job", "/acme/task/../job", "/acme%2Ftask/{task}/job"]
)
def test_odd_segments_lead_nowhere_on_either_way(service: Service, theeye: StandIn, path: str) -> None:
    before = len(theeye.calls)
    assert post(service, path).status == post(service, f"{path}/").status == 404
    assert len(theeye.calls) == before


def line_of(service: Service, name: str) -> dict[str, Any]:
    """The line of a request, what is its own aside; of the times only which there are."""
    wait_until(lambda: f'"{name}"' in service.log_text(), 10, "the line")
    [line] = [json.loads(line) for line in service.log_text().splitlines() if f'"{name}"' in line]
    line["path"] = line["path"].rstrip("/")
    own = {"time", "request_id", "total", "job"}
    return {key: isinstance(value, float) or value for key, value in line.items() if key not in own}


def counted(service: Service) -> dict[str, float]:
    host, _, port = service._env["SYNC_METRICS_BIND"].partition(":")
    text = raw_request(host, int(port), b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").body.decode()
    samples = [line.rpartition(" ") for line in text.splitlines() if "_total{" in line or "_count" in line]
    return {name: float(value) for name, _, value in samples if "lifecycle" not in name}


@pytest.mark.parametrize(
    ("query", "token", "fault"),
    [
        *[(query, "tok-acme", None) for query in ("", "?parse=0", "?wait=x")],
        ("", "", None),
        *[("", "tok-acme", fault) for fault in (Html(502), Reply(403, {"message": "no"}))],
    ],
)
def test_the_line_and_the_numbers_are_the_same(
    service: Service, theeye: StandIn, query: str, token: str, fault: Reply | None
) -> None:
    told: list[tuple[Any, ...]] = []
    post(service, JOB)  # so that session and limit are known
    for name, path in (("r-short", JOB), ("r-long", f"{JOB}/")):
        if fault is not None:
            theeye.fault("create", fault, times=1)
        request_id, before = f"{name}-{len(service.log_text())}", counted(service)
        answer = post(service, path + query, token=token, header=f"X-Request-Id: {request_id}")
        line = line_of(service, request_id)
        ours = {key: value - before.get(key, 0) for key, value in counted(service).items()}
        told.append((answer.header("X-Request-Id") == request_id, line, {key: n for key, n in ours.items() if n}))
    assert told[0] == told[1]
    assert told[0][0]
    assert sum(n for key, n in told[0][2].items() if key.startswith("theeye_sync_requests_total")) == 1
    theeye.heal()
