"""Server-Timing: the caller sees where the time went, also when it went for nothing."""

import re
from collections.abc import Iterator
from time import monotonic

import pytest
import requests
from servers import Service
from standin import ACME, TASK, Late, Reply, StandIn

JOB = f"/acme/task/{TASK}/job"


@pytest.fixture(scope="module")
def shared() -> Iterator[StandIn]:
    with StandIn() as theeye:
        yield theeye


@pytest.fixture(scope="module", params=["gevent", "gthread"])
def service(request: pytest.FixtureRequest, shared: StandIn) -> Iterator[Service]:
    with Service({"SYNC_GATEWAY_URL": shared.url, "SYNC_SUPERVISOR_URL": shared.url}, worker=request.param) as running:
        yield running


@pytest.fixture
def theeye(shared: StandIn) -> StandIn:
    shared.heal()
    shared.task(output=["1"])
    return shared


def ask(service: Service, method: str = "POST", path: str = JOB, token: str = "tok-acme") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    return requests.request(method, service.url + path, headers=headers, timeout=30)


def timing(answer: requests.Response) -> dict[str, float]:
    """The one header, read strictly; milliseconds by name, in their order."""
    text = answer.headers["Server-Timing"]
    assert re.fullmatch(r"[a-z]+;dur=\d+\.\d(, [a-z]+;dur=\d+\.\d)*", text)
    return {name: float(ms) for name, ms in re.findall(r"([a-z]+);dur=([\d.]+)", text)}


def test_each_part_is_where_its_time_goes(service: Service, theeye: StandIn) -> None:
    theeye.tokens["tok-timing"] = ACME
    theeye.task(output=["1"], delay=0.4)
    theeye.fault("profile", Late(0.1), times=1)
    theeye.fault("create", Late(0.2), times=1)
    theeye.fault("read", Late(0.3), times=1)
    began = monotonic()
    found = timing(ask(service, token="tok-timing"))
    most = (monotonic() - began) * 1000
    assert list(found) == ["session", "create", "wait", "read", "format"]
    for name, least in (("session", 100), ("create", 200), ("wait", 150), ("read", 300)):
        assert least <= found[name], found
    assert sum(found.values()) <= most + 1, f"{found}: no time is in two parts"
    again = timing(ask(service, token="tok-timing"))
    assert again["session"] < found["session"]
    assert again["read"] < found["read"]


def test_a_get_has_it_too(service: Service, theeye: StandIn) -> None:
    job = ask(service).headers["X-Job-Id"]
    assert list(timing(ask(service, "GET", f"{JOB}/{job}"))) == ["session", "read", "format"]
    theeye.task(delay=None)
    job = ask(service, path=f"{JOB}?wait=0").headers["X-Job-Id"]
    late = ask(service, "GET", f"{JOB}/{job}?wait=0.1")
    assert (late.status_code, list(timing(late))) == (202, ["session", "wait", "read"])


def test_errors_have_what_was_measured(service: Service, theeye: StandIn) -> None:
    theeye.fault("create", Reply(400, {"message": "no"}), times=1)
    refused = ask(service)
    assert (refused.status_code, list(timing(refused))) == (400, ["session", "create"])
    theeye.task(delay=None)
    late = ask(service, path=f"{JOB}?wait=1")
    assert (late.status_code, list(timing(late))) == (504, ["session", "create", "wait", "read"])
    assert timing(late)["wait"] >= 100
    assert list(timing(ask(service, token="nobody"))) == ["session"]


def test_what_measured_nothing_has_none(service: Service, theeye: StandIn) -> None:
    assert "Server-Timing" not in ask(service, token="").headers
    assert "Server-Timing" not in ask(service, "GET", "/healthz").headers
    assert "Server-Timing" not in ask(service, "OPTIONS").headers


def test_pages_may_read_it(service: Service, theeye: StandIn) -> None:
    headers = {"Authorization": "Bearer tok-acme", "Origin": "https://app.example.org", "Connection": "close"}
    got = requests.post(service.url + JOB, headers=headers, timeout=30)
    exposed = re.split(", ", got.headers["Access-Control-Expose-Headers"])
    assert {"Server-Timing", "X-Request-Id"} <= {*exposed}
