"""The short way past Flask answers like Flask: a trailing slash is what takes the long one."""

from collections.abc import Iterator

import pytest
from servers import RawResponse, Service, raw_request
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
    with Service({"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url}) as running:
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
