"""How long a caller wants to wait: `?wait`, `Prefer` and `on_disconnect`, read alone and on the real service."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from support.processes import Service, raw_request
from support.theeye import JOB, StandIn

from app.api.preferences import Budget, cancels_on_disconnect, read_budget
from app.api.query import Query
from app.errors import BadRequest

# -- alone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("WAIT=5", 5),
        (" wait = 5 ", 5),
        ("wait=0", 0),
        ("wait=007", 7),
        ('wait="5"', 5),
        ("wait=5; x=y", 5),
        ("wait=5;", 5),
        ('wait=5; x="a, wait=1"', 5),
        ("return=minimal, wait=5", 5),
        ("return=minimal,,wait=5,", 5),
        ("respond-async, wait=5, handling=lenient", 5),
        ('foo="a, b", wait=5', 5),
        ('foo="", wait=5', 5),
        ("wait=5, wait=1", 5),
        ("Wait=5, wAIT=1", 5),
        ("foo; wait=1, wait=5", 5),
        ("foo\t=\tbar\t,\twait=5", 5),
        ('foo; p="a, wait=1", wait=5', 5),
        (r'foo="a\", wait=1", wait=5', 5),
        pytest.param(r'foo; p="\\", wait=5', 5, id="escaped backslash"),
    ],
)
def test_the_header_names_the_seconds(prefer: str, seconds: float) -> None:
    found = read_budget(Query(""), prefer, 60)
    assert (found.seconds, found.waits_by_header) == (seconds, True)


@pytest.mark.parametrize(
    "prefer",
    [
        None,
        "",
        " ",
        ",",
        "wait",
        "wait=",
        'wait=""',
        "wait=x",
        "wait=-1",
        "wait=+1",
        "wait=1.5",
        "wait=1e3",
        "wait=٣",
        "wait=1234567890",
        "wait=x, wait=5",
        "waiting=5",
        "x-wait=5",
        "return; wait=5",
        'foo="wait=5"',
        'foo="a, wait=5"',
        "=5",
        '"wait=5"',
        "@wait=5",
        "wait=5 6",
    ],
)
def test_nonsense_in_the_header_is_ignored(prefer: str | None) -> None:
    assert read_budget(Query(""), prefer, 60) == Budget(60)


def test_a_hostile_header_costs_no_time() -> None:
    began = time.perf_counter()
    assert read_budget(Query(""), ",".join(["," + " " * 8000] * 10), 60) == Budget(60)
    assert time.perf_counter() - began < 0.25


@pytest.mark.parametrize(
    "prefer", ["wait=" * 20_000, 'x="' * 20_000, "x=" + " " * 20_000, "x;" * 20_000, '"' * 20_001, "\\" * 20_000]
)
def test_a_long_header_costs_no_time(prefer: str) -> None:
    began = time.perf_counter()
    read_budget(Query(""), prefer, 60)
    assert time.perf_counter() - began < 0.25


@pytest.mark.parametrize(
    ("query", "seconds"),
    [("", 60), ("wait=5", 5), ("wait=0", 0), ("wait=0.25", 0.25), ("wait=100", 60), ("wait=5&wait=x", 5), ("a=1", 60)],
)
def test_the_query_names_the_seconds(query: str, seconds: float) -> None:
    assert read_budget(Query(query), None, 60) == Budget(seconds)


@pytest.mark.parametrize(
    "wait", ["", "x", "-1", "+1", "1e3", ".5", "1.", "1.2345", "1_0", "%201", "nan", "inf", "1234567890", "%D9%A3"]
)
def test_nonsense_in_the_query_is_refused(wait: str) -> None:
    with pytest.raises(BadRequest, match="wait must be a number of seconds"):
        read_budget(Query(f"wait={wait}"), "wait=5", 60)


def test_the_shorter_of_two_counts_and_none_is_above_the_ceiling() -> None:
    assert read_budget(Query("wait=3"), "wait=7", 60).seconds == 3
    assert read_budget(Query("wait=7"), "wait=3", 60).seconds == 3
    assert read_budget(Query("wait=70"), "wait=80", 60).seconds == 60


def test_respond_async_alone_waits_not_at_all() -> None:
    assert read_budget(Query(""), "Respond-Async", 60) == Budget(60, respond_async=True, at_once=True)
    assert not read_budget(Query(""), "respond-async, wait=5", 60).at_once
    assert not read_budget(Query("wait=5"), "respond-async", 60).at_once
    assert not read_budget(Query(""), "foo; respond-async", 60).respond_async


@pytest.mark.parametrize(
    ("prefer", "accepted", "applied"),
    [
        ("", False, None),
        ("", True, None),
        ("wait=5", False, "wait=5"),
        ("wait=100", False, "wait=60"),
        ("wait=5", True, "wait=5"),
        ("respond-async", False, None),
        ("respond-async", True, "respond-async"),
        ("wait=5, respond-async", True, "respond-async, wait=5"),
        ("wait=5, respond-async", False, "wait=5"),
        ("return=minimal", True, None),
    ],
)
def test_what_was_applied(prefer: str, accepted: bool, applied: str | None) -> None:
    assert read_budget(Query(""), prefer, 60).applied(accepted) == applied


def test_on_disconnect() -> None:
    assert cancels_on_disconnect(Query("on_disconnect=cancel"), None)
    assert not cancels_on_disconnect(Query(""), None)
    assert not cancels_on_disconnect(Query(""), "key")


@pytest.mark.parametrize("asked", ["", "Cancel", "other", "cancel "])
def test_on_disconnect_can_only_be_cancel(asked: str) -> None:
    with pytest.raises(BadRequest, match="can only be cancel"):
        cancels_on_disconnect(Query(f"on_disconnect={asked.replace(' ', '+')}"), None)


# -- on the real service ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    theeye: StandIn
    service: Service
    http: requests.Session

    def post(self, query: str = "", **headers: str) -> requests.Response:
        headers = {"Authorization": "Bearer tok-acme"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.http.post(f"{self.service.url}{JOB}{query}", headers=headers)

    def last_job(self) -> str:
        return list(self.theeye.jobs)[-1]


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with StandIn() as theeye:
        env = {
            "SYNC_GATEWAY_URL": theeye.url,
            "SYNC_SUPERVISOR_URL": theeye.url,
            "SYNC_WAIT_SECONDS": "20",
        }
        with Service(env, worker="gthread") as service, requests.Session() as http:
            http.trust_env = False
            http.headers["Connection"] = "close"  # an idle connection would hold up the service's end
            yield World(theeye, service, http)


@pytest.fixture
def world(shared_world: World) -> World:
    """The shared world, with a task whose jobs do not end by themselves."""
    shared_world.theeye.task(delay=None)
    return shared_world


def unfinished(got: requests.Response, status: int, world: World) -> dict[str, Any]:
    """The body of an answer without a result, after a check of all that a 202 and a 504 have in common."""
    body: dict[str, Any] = got.json()
    job_id = world.last_job()
    assert (got.status_code, body["statusCode"], body["status"]) == (status, status, status)
    assert list(body) == ["message", "statusCode", "name", "code", "status", "job", "result_url"]
    assert body["job"] == {"id": job_id, "lifecycle": "ready", "state": "in_progress"}
    assert body["result_url"] == got.headers["Location"] == f"{JOB}/{job_id}"
    assert (got.headers["X-Job-Id"], got.headers["Retry-After"]) == (job_id, "1")
    return body


@pytest.mark.parametrize(
    ("query", "headers", "applied"),
    [("", {"Prefer": "wait=1"}, "wait=1"), ("?wait=1", {}, None), ("?wait=1", {"Prefer": "wait=9"}, "wait=1")],
)
def test_a_wait_of_a_second(query: str, headers: dict[str, str], applied: str | None, world: World) -> None:
    began = time.monotonic()
    got = world.post(query, **headers)
    assert 1 <= time.monotonic() - began < 2
    assert unfinished(got, 504, world)["code"] == "ETIMEISUP"
    assert got.headers.get("Preference-Applied") == applied


def test_no_wait_at_all_is_one_look(world: World) -> None:
    before = len(world.theeye.calls)
    assert unfinished(world.post("?wait=0"), 504, world)["code"] == "ETIMEISUP"
    assert [call.kind for call in world.theeye.calls[before:] if call.kind != "profile"] == ["create", "read"]


def test_no_wait_at_all_finds_a_job_that_ended_at_once(world: World) -> None:
    world.theeye.task(output=["1"])
    assert world.post("?wait=0").json() == ["1"]


def test_respond_async_is_202_without_a_look(world: World) -> None:
    before = len(world.theeye.calls)
    got = world.post(Prefer="respond-async")
    body = unfinished(got, 202, world)
    assert (body["name"], body["code"]) == ("Accepted", "")
    assert got.headers["Preference-Applied"] == "respond-async"
    assert [call.kind for call in world.theeye.calls[before:] if call.kind != "profile"] == ["create"]


def test_respond_async_after_a_wait(world: World) -> None:
    began = time.monotonic()
    got = world.post(Prefer="respond-async, wait=1")
    assert 1 <= time.monotonic() - began < 2
    unfinished(got, 202, world)
    assert got.headers["Preference-Applied"] == "respond-async, wait=1"


def test_respond_async_with_a_wait_in_the_query(world: World) -> None:
    got = world.post("?wait=0.1", Prefer="respond-async")
    unfinished(got, 202, world)
    assert got.headers["Preference-Applied"] == "respond-async"


def test_respond_async_of_a_job_that_ends_in_time(world: World) -> None:
    world.theeye.task(output=["1"], delay=0.1)
    got = world.post(Prefer="respond-async, wait=5")
    assert (got.status_code, got.json()) == (200, ["1"])
    assert got.headers["Preference-Applied"] == "wait=5"
    assert "Location" not in got.headers


def test_preferences_in_two_headers_count_as_one(world: World) -> None:
    head = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\nConnection: close\r\n"
    prefer = "Prefer: respond-async\r\nprefer: wait=0\r\n\r\n"
    got = raw_request("127.0.0.1", world.service.port, (head + prefer).encode())
    assert (got.status, got.header("Preference-Applied")) == (202, "respond-async, wait=0")


@pytest.mark.parametrize("query", ["?wait=x", "?wait=-1", "?wait", "?on_disconnect=other", "?on_disconnect"])
def test_nonsense_is_400_and_starts_nothing(query: str, world: World) -> None:
    before = len(world.theeye.calls)
    got = world.post(query)
    assert (got.status_code, got.json()["code"]) == (400, "EINVALID")
    assert len(world.theeye.calls) == before


def test_cancel_on_disconnect_cannot_go_with_an_idempotency_key(world: World) -> None:
    before = len(world.theeye.calls)
    got = world.post("?on_disconnect=cancel", Idempotency_Key="k")
    assert (got.status_code, got.json()["code"]) == (400, "EINVALID")
    assert "Idempotency-Key" in got.json()["message"]
    assert len(world.theeye.calls) == before


def test_nonsense_in_the_header_is_ignored_by_the_service(world: World) -> None:
    world.theeye.task(output=["1"])
    got = world.post(Prefer='wait=x, ;;=,"')
    assert got.status_code == 200
    assert "Preference-Applied" not in got.headers
