"""Test random bytes through raw sockets: no 500, no hang, the workers live, and the log has no traceback."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.processes import Service, raw_request
from support.theeye import JOB
from support.wire import talk

pytestmark = pytest.mark.settings(wait_seconds=2)  # no wait is longer than a test can be

EXAMPLES = 400
LONG = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
SECONDS = 10.0  # no answer takes nearly as long, so this is a hang

WORDS = b'% %2f %00 %0d%0a .. %2e%2e \\ ; ? & = [ ] " // http:// parse full wait= access_token= tok-acme lifecycle'
MORE = (b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"\xff", b"9" * 30, b"a" * 3000, b"-1", b"1e9")
ODD = st.sampled_from([*WORDS.split(), *MORE])
PIECE = st.one_of(ODD, st.binary(max_size=12))
BYTES = st.lists(PIECE, max_size=8).map(b"".join)
# A token in a path stands after its name. The log shows other words, if the request has no such token in its header.
ODD_PATH = BYTES.filter(lambda odd: b"tok-acme" not in odd.partition(b"access_token=")[0])
PATH = st.just(JOB.encode()) | ODD_PATH.map(b"/acme/task/%b/job".__mod__) | ODD_PATH.map(b"/%b".__mod__)
NAMES = b"""Authorization Content-Type Content-Length Transfer-Encoding Prefer Idempotency-Key Origin Accept Expect
    Connection Upgrade X-Request-Id traceparent Host Cookie Range""".split()
VALUES = b"application/json application/x-www-form-urlencoded chunked 3 0 close respond-async 100-continue h2c".split()
VALUES += [b"Bearer tok-acme", b"wait=0", b"text/csv", b"https://a.example"]
HEADER = st.tuples(st.one_of(st.sampled_from(NAMES), BYTES), st.one_of(st.sampled_from(VALUES), BYTES))
METHOD = st.sampled_from(b"GET POST DELETE OPTIONS HEAD PUT TRACE CONNECT".split()) | BYTES
BODY = st.one_of(st.sampled_from([b"", b"[1]", b"a=1", b'{"a":1}', b"3\r\n[1]\r\n0\r\n\r\n"]), BYTES)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Generate requests, also invalid ones, mostly with a token and the right length."""
    query = draw(st.one_of(st.just(b""), BYTES.map(lambda odd: b"?" + odd)))
    body = draw(BODY)
    lines = [draw(METHOD) + b" " + draw(PATH) + query + b" HTTP/1.1", b"Host: x"]
    if draw(st.integers(0, 4)):
        lines += [b"Authorization: Bearer tok-acme"]
    if draw(st.integers(0, 4)):
        lines += [b"Content-Length: %d" % len(body)]
    lines += [name + b": " + value for name, value in draw(st.lists(HEADER, max_size=4))]
    return b"\r\n".join([*lines, b"", b""]) + body


@pytest.fixture(scope="module", autouse=True)
def lives_on(gunicorn: Service) -> Iterator[None]:
    """Check that the same workers serve at the end, and have logged nothing."""
    workers = gunicorn.worker_pids()
    yield
    assert raw_request("127.0.0.1", gunicorn.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    assert gunicorn.worker_pids() == workers
    for word in ("Traceback", "Error handling request", "unexpected error", "tok-acme", "timeout"):
        assert word not in gunicorn.log_text()


def check(gunicorn: Service, data: bytes) -> None:
    answer = talk(gunicorn, data, SECONDS, ends=True)
    statuses = re.findall(rb"(?:\A|\n)HTTP/1\.1 (\d+)", answer)
    assert b"500" not in statuses, answer
    assert answer == b"" or answer.startswith(b"HTTP/1.1 "), answer
    assert b"Traceback" not in answer


@settings(LONG)
@given(data=requests())
def test_requests_that_are_nearly_right(gunicorn: Service, data: bytes) -> None:
    check(gunicorn, data)


@settings(LONG, max_examples=EXAMPLES // 2)
@given(data=st.one_of(st.binary(max_size=200), st.lists(PIECE, max_size=20).map(b"".join)))
def test_bytes_that_are_no_request(gunicorn: Service, data: bytes) -> None:
    check(gunicorn, data)
