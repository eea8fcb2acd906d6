"""Check a WSGI host, over its base URL: the seed's examples, parallel waits, a graceful stop, logs without a token.

    check_seed_examples(url, theeye)
    check_parallel_waits(url, theeye)
    check_events(url, theeye)
    say_the_token_everywhere(url)
    check_graceful_stop(url, theeye, stop=process.terminate)
    check_logs(process.directory)        # no token in any file there

`theeye` is the StandIn behind the host's service.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from support.events import stream_of
from support.processes import CHECKOUT, RawResponse, raw_request, request_bytes
from support.sandbox import TEXT_418
from support.theeye import JOB, StandIn

DEPLOY = CHECKOUT / "deploy"
TOKEN = "tok-acme"
CORS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET,PUT,PATCH,POST,DELETE,OPTIONS"),
    ("Access-Control-Allow-Credentials", "true"),
    (
        "Access-Control-Allow-Headers",
        "Origin, Accept, User-Agent, Accept-Charset, Cache-Control, Accept-Encoding, "
        "Content-Type, Authorization, Content-Length, X-Requested-With",
    ),
]


@dataclass(frozen=True)
class Example:
    """Hold an example of the seed: the job's output, the query, and the bytes of the answer."""

    query: str
    argument: int
    state: str
    output: str
    status_line: str
    etag: str
    body: str


_ERROR = TEXT_418
_FIRST = '{"name":"tomer","date":"2022-01-28T17:00:22.676Z"}'
_SECOND = '{"name":"tomer","date":"2022-01-28T16:26:41.201Z"}'
_LISTED = [json.dumps([text], separators=(",", ":")) for text in (_ERROR, _FIRST)]
EXAMPLES = [
    Example("", 200, "failure", _ERROR, "500 Internal Server Error", 'W/"87-+Fzdxc2Q7NsFIfhclF3lcqgSScY"', _LISTED[0]),
    Example("", 100, "success", _FIRST, "200 OK", 'W/"3e-Earn8PE7JwarkhTciq4Sn4inI3g"', _LISTED[1]),
    Example("parse&", 100, "success", _SECOND, "200 OK", 'W/"32-QGrCXrCY2sEcc1V/fL6omhdvPKY"', _SECOND),
    Example("parse&", 200, "failure", _ERROR, "418 I'm a Teapot", 'W/"73-FBmPIgGdDNzn6NM27joxlSUMWp4"', _ERROR),
]


def ask(
    url: str, target: str, method: str = "GET", body: bytes = b"", timeout: float = 30, **headers: str
) -> RawResponse:
    """Send one request with the token, on a connection of its own; see request_bytes."""
    place = urlsplit(url)
    data = request_bytes(method, place.path + target, body, **{"Host": place.netloc, **headers})
    return raw_request(str(place.hostname), place.port or 80, data, timeout)


def run(url: str, *arguments: object, query: str = "", timeout: float = 30, **headers: str) -> RawResponse:
    """Run the task, and return the answer."""
    body = json.dumps({"task_arguments": arguments}).encode()
    return ask(url, JOB + (f"?{query}" if query else ""), "POST", body, timeout, **headers)


# -- the seed's examples ----------------------------------------------------------------------------------------


def check_seed_examples(url: str, theeye: StandIn, version: str = "HTTP/1.1", sorts: bool = False) -> None:
    """Compare status line, CORS headers, Content-Type, ETag and body byte by byte; send the token in the query.

    `sorts` means that the host sorts the headers by name.
    """
    for example in EXAMPLES:
        theeye.task(output=[example.output], state=example.state)
        body = json.dumps({"task_arguments": [example.argument]}).encode()
        got = ask(url, f"{JOB}?{example.query}access_token={TOKEN}", "POST", body, Authorization="")
        assert got.status_line == f"{version} {example.status_line}"
        cors = [header for header in got.headers if header[0].startswith("Access-Control-")]
        assert cors == (sorted(CORS) if sorts else CORS)
        assert got.header("Content-Type") == "application/json; charset=utf-8"
        assert got.header("Content-Length") == str(len(example.body))
        assert got.header("ETag") == example.etag
        assert got.body.decode() == example.body
        assert theeye.calls_of("create")[-1].body == body


# -- many at once, and the end --------------------------------------------------------------------------------------


@contextmanager
def parked(url: str, theeye: StandIn, count: int) -> Iterator[list[Future[RawResponse]]]:
    """Send requests with an argument each; yield the futures of the answers when their jobs were created."""
    theeye.task(delay=None)
    before = len(theeye.jobs)
    with ThreadPoolExecutor(count) as pool:
        waits = [pool.submit(run, url, f"own {number}") for number in range(count)]
        try:
            theeye.wait_for_jobs(before + count, 30)
            yield waits
        finally:
            finish_all(theeye)


def finish_all(theeye: StandIn) -> None:
    """End every job, with its own argument as the output."""
    for job_id, job in theeye.jobs.items():
        if job["lifecycle"] == "ready":
            theeye.finish(job_id, output=job["task_arguments_values"])


def check_own_answers(waits: list[Future[RawResponse]]) -> None:
    """Check that each parked request got the output of its own job."""
    answers = [wait.result(30) for wait in waits]
    assert [(got.status, got.body.decode()) for got in answers] == [
        (200, f'["own {number}"]') for number in range(len(waits))
    ]
    assert len({got.header("X-Job-Id") for got in answers}) == len(waits)


def check_parallel_waits(url: str, theeye: StandIn, count: int = 50) -> None:
    """Check that so many waits are parked at the same time, with one create each."""
    before = len(theeye.calls_of("create"))
    with parked(url, theeye, count) as waits:
        assert not any(wait.done() for wait in waits)
        finish_all(theeye)
        check_own_answers(waits)
    assert len(theeye.calls_of("create")) == before + count


def check_events(url: str, theeye: StandIn) -> None:
    """Check that events arrive while the job runs, also at a client that accepts gzip, and the answer at its end."""
    theeye.task(delay=None)
    with stream_of(url, Accept_Encoding="gzip") as (got, events):
        job = next(events)
        assert (job.name, next(events).data["lifecycle"]) == ("job", "ready")
        assert job.data["location"] == f"{urlsplit(url).path}{JOB}/{got.headers['X-Job-Id']}"
        theeye.finish()
        theeye.task()  # as usual for those that come later
        *_, answer = events
    assert (answer.data["status"], answer.data["body"]) == (200, '["{\\"name\\":\\"tomer\\"}"]')


def check_graceful_stop(url: str, theeye: StandIn, stop: Callable[[], object], count: int = 10) -> None:
    """Check that parked waits get their answers after `stop`, which sends a signal without waiting for the end."""
    with parked(url, theeye, count) as waits:
        stop()
        finish_all(theeye)
        check_own_answers(waits)


# -- the logs -------------------------------------------------------------------------------------------------------


def say_the_token_everywhere(url: str) -> None:
    """Send requests that could put the token into a log: good and bad ones, in query, header and elsewhere."""
    place = urlsplit(url)
    assert place.hostname
    for target in (
        f"/api/status?access_token={TOKEN}",
        f"/no/such/path?access_token={TOKEN}",
        f"{JOB}/nothex?access%5Ftoken={TOKEN}",
        f"{JOB}%3Faccess_token={TOKEN}",
        f"/../..?access_token={TOKEN}",
        f"/acme/{'x' * 9000}?access_token={TOKEN}",
    ):
        for method in ("GET", "POST", "BREW"):
            with suppress(OSError, HTTPException):  # a host may close the connection of a bad request
                ask(url, target, method)
    for data in (
        f"GET /api/status?access_token={TOKEN} HTTP/1.1\r\nHost: x\r\nbad header access_token={TOKEN}\r\n\r\n",
        f"POST {JOB}?access_token={TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: {TOKEN}\r\n\r\n",
        f"GET /?access_token={TOKEN} HTTP/9.9\r\n\r\n",
        f"POST {JOB}?access_token={TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
    ):
        with suppress(OSError, HTTPException):
            raw_request(place.hostname, place.port or 80, data.encode(), 2)


def check_logs(*places: Path) -> None:
    """Check that these files and directories contain no token, and that at least one file is not empty."""
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]
    texts = {file: file.read_bytes() for file in files}
    assert any(texts.values()), f"nothing was logged in {places}"
    for file, text in texts.items():
        at = text.find(TOKEN.encode())
        assert at < 0, f"{file}: ...{text[max(at - 300, 0) : at + 100]!r}"
