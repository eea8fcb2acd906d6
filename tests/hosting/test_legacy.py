"""Test the service under Apache's mod_wsgi, uWSGI, waitress and wsgiref: the same answers, and the differences."""

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.host_checks import (
    DEPLOY,
    JOB,
    TOKEN,
    ask,
    check_events,
    check_graceful_stop,
    check_logs,
    check_parallel_waits,
    check_seed_examples,
    parked,
    run,
    say_the_token_everywhere,
)
from support.hosts import LegacyHost, ModWsgi, Uwsgi, Waitress, WaitressServe, Wsgiref
from support.processes import RawResponse, Redis, raw_request
from support.theeye import TASK, StandIn

from app import Settings
from app.waiter.pauses import SAFETY

THREADED = [ModWsgi, Uwsgi, Waitress]
HOSTS = {host.name: host for host in (*THREADED, WaitressServe, Wsgiref)}
NAMES = [host.name for host in THREADED]


@contextmanager
def running(name: str, **settings: object) -> Iterator[LegacyHost]:
    """Run the host in front of its own TheEye, and stop it at the end."""
    with StandIn(str(settings.get("redis_url", ""))) as theeye, HOSTS[name](theeye, **settings) as host:
        yield host


@pytest.fixture(scope="module", params=NAMES)
def host(request: pytest.FixtureRequest, redis_server: Redis) -> Iterator[LegacyHost]:
    with running(request.param, redis_url=redis_server.url, max_waiting_customer=112) as host:
        yield host


# -- the same answers -------------------------------------------------------------------------------------------


def test_the_seeds_examples(host: LegacyHost) -> None:
    check_seed_examples(host.url, host.theeye, sorts=host.name == "waitress")


def test_the_token_in_the_header(host: LegacyHost) -> None:
    host.theeye.task(output=["{}"])
    assert run(host.url, 1).status_line == "HTTP/1.1 200 OK"
    assert run(host.url, 1, Authorization="Bearer wrong").status_line == "HTTP/1.1 401 Unauthorized"


def test_fifty_waits_at_once_each_told_by_redis(host: LegacyHost) -> None:
    before, began = len(host.theeye.calls_of("lifecycle")), time.monotonic()
    check_parallel_waits(host.url, host.theeye)
    looks = 50 * (1 + (time.monotonic() - began) / SAFETY[0])  # a wait that is told looks rarely, for a lost message
    assert len(host.theeye.calls_of("lifecycle")) - before < looks, "polling would look again and again"


def test_a_wait_that_is_watched(host: LegacyHost) -> None:
    check_events(host.url, host.theeye)


def test_answers_without_a_body(host: LegacyHost) -> None:
    preflight = ask(host.url, JOB, "OPTIONS", Origin="https://app.example.org")
    assert (preflight.status_line, preflight.body) == ("HTTP/1.1 204 No Content", b"")
    assert preflight.header("Access-Control-Allow-Origin") == "https://app.example.org"
    with parked(host.url, host.theeye, 1) as [wait]:
        job_id = list(host.theeye.jobs)[-1]
        cancelled = ask(host.url, f"{JOB}/{job_id}", "DELETE")
        assert cancelled.status_line == "HTTP/1.1 204 No Content"
        assert cancelled.header("X-Job-State") == "canceled"
        assert wait.result(30).status == 500


@pytest.mark.parametrize(
    "path",
    [
        f"/acme/task/{TASK}%2Fjob",
        f"/acme%2ftask/{TASK}/job",
        f"//acme/task/{TASK}/job",
        f"/acme//task/{TASK}/job",
        f"/acme/task/{TASK}/job//",
        f"/acme/x/../task/{TASK}/job",
        f"/acme/x/%2e%2E/task/{TASK}/job",
        f"/acme/./task/{TASK}/job",
    ],
)
def test_odd_paths_lead_nowhere(path: str, host: LegacyHost) -> None:
    before = len(host.theeye.calls)
    got = ask(host.url, path, "POST")
    assert got.status_line == "HTTP/1.1 404 Not Found"
    assert got.json()["code"] == "ENOTFOUND"
    assert len(host.theeye.calls) == before


def test_a_slash_at_the_end_is_served(host: LegacyHost) -> None:
    host.theeye.task(output=["{}"])
    assert ask(host.url, f"{JOB}/", "POST").status == 200


@pytest.mark.parametrize("host", ["mod_wsgi", "waitress"], indirect=True)
def test_the_absolute_form_is_served(host: LegacyHost) -> None:
    host.theeye.task(output=["{}"])
    data = f"POST {host.url}{JOB} HTTP/1.1\r\nHost: {host.address}\r\nAuthorization: Bearer {TOKEN}\r\n"
    got = raw(host, data.encode() + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
    assert got.status == 200


def raw(host: LegacyHost, data: bytes) -> RawResponse:
    return raw_request("127.0.0.1", host.port, data, 30)


def test_a_body_in_chunks(host: LegacyHost) -> None:
    host.theeye.task(output=["{}"])
    body = json.dumps({"task_arguments": ["x" * 100_000]}).encode()
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:50_000], body[50_000:]))
    got = raw(host, head.encode() + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert got.status == 200
    assert host.theeye.calls_of("create")[-1].body == body


def test_large_bodies_both_ways(host: LegacyHost) -> None:
    large = "x" * 8_000_000
    host.theeye.task(output=[large])
    got = run(host.url, large, timeout=60)
    assert (got.status, got.complete, len(got.body)) == (200, True, len(large) + 4)
    assert len(host.theeye.calls_of("create")[-1].body) > len(large)
    assert ask(host.url, JOB, "POST", b"x" * (17 << 20)).status == 413


def test_nothing_is_packed(host: LegacyHost) -> None:
    got = ask(host.url, "/api/status", Accept_Encoding="gzip, deflate")
    assert (got.header("Content-Encoding"), got.header("ETag") is not None) == (None, True)
    assert got.header("Content-Length") == str(len(got.body))


# -- what is different --------------------------------------------------------------------------------------------


def test_readyz_says_what_is_different(host: LegacyHost) -> None:
    ready = host.readyz()
    assert (ready["status"], ready["degraded"], ready["history_guard"]) == ("ready", [], "all processes")
    assert ready["host"] == {
        "server": host.name,
        "disconnects": "not seen",
        "parallel": 128,
        "stopping": "waits are answered",
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_stop_and_the_logs(name: str) -> None:
    with running(name, wait_seconds=20) as host:
        say_the_token_everywhere(host.url)
        check_seed_examples(host.url, host.theeye, sorts=host.name == "waitress")
        check_graceful_stop(host.url, host.theeye, host.terminate)
        assert host.wait(30) == 0
        check_requests_are_logged(host.directory)
        check_logs(host.directory)


def check_requests_are_logged(directory: Path) -> None:
    """Check that the service's own lines exist, with the path: they too are searched for the token."""
    assert any(f" {JOB} customer=acme " in file.read_text() for file in directory.glob("*log"))


@pytest.mark.parametrize("name", NAMES)
def test_waits_whose_jobs_go_on_are_told_so_at_a_stop(name: str) -> None:
    """waitress cuts the waits after SYNC_GRACE_SECONDS; uWSGI and Apache let them run until their own deadlines."""
    with running(name, wait_seconds=4, grace_seconds=0.5) as host:
        with parked(host.url, host.theeye, 5) as waits:
            host.terminate()
            answers = [wait.result(20) for wait in waits]
        assert [(got.status, got.json()["code"]) for got in answers] == [(504, "ETIMEISUP")] * 5
        assert {got.header("X-Job-Id") for got in answers} == set(host.theeye.jobs)
        assert host.wait(20) == 0


def test_apaches_reload_answers_the_waits_at_once() -> None:
    with running("mod_wsgi") as host:
        with parked(host.url, host.theeye, 5) as waits:
            host.signal(signal.SIGUSR1)  # what `apachectl graceful` sends
            answers = [wait.result(30) for wait in waits]
        assert [(got.status, got.json()["code"]) for got in answers] == [(504, "ETIMEISUP")] * 5
        assert ask(host.url, "/healthz").status == 200


@pytest.mark.parametrize("host", ["waitress"], indirect=True)
def test_a_request_too_many_is_refused_while_all_places_are_taken(host: LegacyHost) -> None:
    with parked(host.url, host.theeye, 112):
        refused = run(host.url, 1)
        assert (refused.status, refused.json()["code"]) == (503, "EBUSY")
        assert ask(host.url, "/healthz").status == 200


@pytest.mark.parametrize("host", ["mod_wsgi"], indirect=True)
def test_apaches_status_page_shows_no_request(host: LegacyHost) -> None:
    assert isinstance(host, ModWsgi)
    with parked(host.url, host.theeye, 1):
        ask(host.url, f"/api/status?access_token={TOKEN}")
        page = ask(f"http://{host.status}", "/server-status")
    assert page.status == 200
    assert b"Server uptime" in page.body
    assert b"access_token" not in page.body


def test_waitress_speaks_json_where_that_is_asked_for() -> None:
    with running("waitress", log="json") as host:
        ask(host.url, "/api/status")
        lines = [json.loads(line) for line in host.log_text().splitlines()]
    assert [line.get("path") or line["logger"] for line in lines] == ["waitress", "/api/status"]


def test_waitress_on_its_own_says_that_it_cuts_waits_off() -> None:
    with running("waitress-serve") as host:
        ready = host.readyz()
    assert (ready["host"]["server"], ready["host"]["parallel"]) == ("waitress", "unknown")
    assert ready["host"]["stopping"] == "waits are cut"


def test_fewer_threads_than_places_are_named() -> None:
    with running("uwsgi", max_waiting=500) as host:
        [words] = host.readyz()["degraded"]
    assert words.startswith("host: its 128 threads are fewer than SYNC_MAX_WAITING (500)")


def number(text: str, before: str) -> int:
    """Return the first number after these words."""
    found = re.search(rf"{re.escape(before)}\D*(\d+)", text)
    assert found, before
    return int(found[1])


def test_the_files_numbers_fit_each_other() -> None:
    for settings, script in (("apache.conf", "apache_wsgi.py"), ("uwsgi.ini", "uwsgi_wsgi.py")):
        text, code = (DEPLOY / settings).read_text(), (DEPLOY / script).read_text()
        processes = number(text, "\nprocesses = ") if "ini" in settings else number(text, "processes=")
        threads = number(text, "\nthreads = ") if "ini" in settings else number(text, "threads=")
        assert number(code, '"SYNC_WORKERS", "') == processes
        assert number(code, '"SYNC_MAX_WAITING", "') < threads
    apache = (DEPLOY / "apache.conf").read_text()
    assert number(apache, "MaxRequestWorkers") > number(apache, "processes=") * number(apache, "threads=")
    longest = Settings().wait_seconds + Settings().call_timeout
    for words in (" socket-timeout=", "response-socket-timeout=", "GracefulShutdownTimeout", "shutdown-timeout="):
        assert number(apache, words) > longest
    uwsgi = (DEPLOY / "uwsgi.ini").read_text()
    assert min(number(uwsgi, "\nworker-reload-mercy"), number(uwsgi, "\nreload-mercy")) > longest
    assert number(uwsgi, "\nlimit-post") == 2 * Settings().max_body


# -- one at a time ------------------------------------------------------------------------------------------------


def test_wsgiref() -> None:
    with running("wsgiref") as host:
        check_seed_examples(host.url, host.theeye, version="HTTP/1.0")
        check_events(host.url, host.theeye)
        say_the_token_everywhere(host.url)
        ready = host.readyz()
        assert ready["host"] == {
            "server": "wsgiref",
            "disconnects": "not seen",
            "parallel": "one request at a time",
            "stopping": "waits are cut",
        }
        assert ready["degraded"] == ["host: the server handles one request at a time, all others queue"]
        chunked = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        got = raw(host, f"{chunked}Authorization: Bearer {TOKEN}\r\n\r\n0\r\n\r\n".encode())
        assert got.status_line == "HTTP/1.0 411 Length Required"
        for path in (f"/acme/task/{TASK}%2Fjob", f"/acme//task/{TASK}/job"):
            assert ask(host.url, path, "POST").status == 404
        host.signal(signal.SIGTERM)
        assert host.wait() == -signal.SIGTERM
        check_requests_are_logged(host.directory)
        check_logs(host.directory)
