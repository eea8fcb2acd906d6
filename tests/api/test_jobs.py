"""Test the answer of a job later, and its cancel: `GET` and `DELETE` on /{customer}/task/{task}/job/{job}."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import ACME, BETA, JOB, TASK, Reply, StandIn
from support.world import World, only_job
from werkzeug import Response

OTHER_TASK = "61f3e937c38201da80f96c28"
MODES = ["", "?parse", "?parse=1", "?parse=7", "?result", "?full", "?full&parse"]
SAME_HEADERS = ["Content-Type", "Content-Length", "ETag", "X-Job-Id", "X-Job-Lifecycle", "X-Job-State"]


pytestmark = pytest.mark.settings(wait_seconds=10)


# -- the create ---------------------------------------------------------------------------------------------


@pytest.mark.settings(session_ttl=0)
def test_one_request_makes_these_calls(client: FlaskClient, theeye: StandIn) -> None:
    post(client)  # the task's history limit is known from now on
    before = len(theeye.calls)
    got = post(client, f"{JOB}?parse=0&a=1&lifecycle=onhold&wait=5", b'{"task_arguments":[100],"wait_result":true}')
    assert got.status_code == 200
    calls = theeye.calls[before:]
    assert [call.kind for call in calls[:2]] == ["profile", "create"]
    assert {call.kind for call in calls[2:]} <= {"lifecycle", "read"}
    assert (calls[1].target, calls[1].body) == (f"{JOB}?a=1", b'{"task_arguments":[100]}')
    for call in calls:
        assert (call.headers["authorization"], call.headers["accept"]) == ("Bearer tok-acme", "application/json")
        assert "tok-acme" not in call.target


def test_the_customers_id_is_translated_to_its_name(client: FlaskClient, theeye: StandIn) -> None:
    assert post(client, f"/{ACME.customer_id}/task/{TASK}/job").status_code == 200
    assert theeye.calls_of("create")[-1].path == JOB


# -- the same answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "state"),
    [
        (['{"a":1}', '{"b":"\xf1","statusCode":201}'], "success"),
        (['{"statusCode":418}'], "failure"),
        (['{"statusCode":204}', "not JSON"], "canceled"),
        (None, "timeout"),
    ],
    ids=["success", "failure", "canceled", "timeout"],
)
def test_the_answer_is_the_same_in_all_modes(output: Any, state: str, world: World) -> None:
    world.theeye.task(output=output, state=state)
    for mode in MODES:
        first = world.post(mode)
        later = world.get(first.headers["X-Job-Id"], mode)
        if mode.startswith("?full"):
            assert later.get_json() == first.get_json()
        assert (later.status_code, later.status, later.data) == (first.status_code, first.status, first.data)
        for name in SAME_HEADERS:
            assert later.headers.get(name) == first.headers.get(name)
        assert later.headers["X-Job-State"] == state
        assert later.headers["Cache-Control"] == "no-store"
        assert "Cache-Control" not in first.headers


def test_an_answer_can_be_had_again_and_in_another_mode(world: World) -> None:
    job_id = world.post().headers["X-Job-Id"]
    assert world.get(job_id).get_json() == ['{"a":1}']
    assert world.get(job_id, "?parse").get_json() == {"a": 1}
    assert world.get(job_id, "?full").get_json() == world.theeye.jobs[job_id]


@pytest.mark.parametrize(
    ("query", "headers", "status"), [("wait=0.1", {}, 504), ("", {"Prefer": "respond-async"}, 202)]
)
@pytest.mark.parametrize("mode", ["", "parse=1", "result", "full"])
def test_the_place_named_has_the_answer_in_the_same_mode(
    mode: str, query: str, headers: dict[str, str], status: int, world: World
) -> None:
    world.theeye.task(output=['{"a":1}', '{"b":2}'], delay=None)
    asked = "&".join(filter(None, ["x=1", mode, query, "access_token=tok-acme"]))
    got = world.ask("POST", f"{JOB}?{asked}", token="", **headers)
    place = got.get_json()["result_url"]
    assert (got.status_code, got.headers["Location"]) == (status, place)
    assert place == f"{JOB}/{got.headers['X-Job-Id']}" + (f"?{mode}" if mode else "")
    assert "tok-acme" not in got.text + str(got.headers)
    world.theeye.finish()
    world.theeye.task(output=['{"a":1}', '{"b":2}'])
    later = world.ask("GET", place)
    assert later.status_code == 200
    if mode != "full":
        assert later.data == world.post(f"?{mode}").data
    else:
        assert later.get_json() == world.theeye.jobs[got.headers["X-Job-Id"]]


def test_the_place_named_keeps_the_customers_form_and_a_long_mode(world: World) -> None:
    world.theeye.task(delay=None)
    got = world.ask("POST", f"/{ACME.customer_id}/task/{TASK}/job?parse=1%20&wait=0.1&full&wait=5")
    assert got.headers["Location"] == f"/{ACME.customer_id}/task/{TASK}/job/{got.headers['X-Job-Id']}?parse=1%20&full"
    world.theeye.finish()
    assert world.ask("GET", got.headers["Location"]).get_json()["id"] == got.headers["X-Job-Id"]


# -- waiting for it -----------------------------------------------------------------------------------------


@contextmanager
def waiting(world: World, job_id: str, *modes: str) -> Iterator[list[Future[Response]]]:
    """Send GETs in these modes; yield the futures of their answers when all have looked once."""
    reads = len(world.theeye.calls_of("read"))
    with ThreadPoolExecutor(len(modes)) as pool:
        answers = [pool.submit(world.get, job_id, mode) for mode in modes]
        world.theeye.wait_for_calls("read", reads + len(modes))
        assert not any(answer.done() for answer in answers)
        yield answers


def test_several_wait_for_the_same_end(world: World) -> None:
    job_id = world.start(output=["1"])
    with waiting(world, job_id, "", "", "?parse", "?full", "?result") as answers:
        world.theeye.finish(job_id)
        assert [answer.result().status_code for answer in answers] == [200] * 5
    assert answers[0].result().get_json() == ["1"]


def test_a_job_deleted_while_a_get_waits_is_404(world: World) -> None:
    job_id = world.start()
    with waiting(world, job_id, "") as [answer]:
        world.theeye.forget(job_id)
        assert error_of(answer.result(), 404, "ENOTFOUND")["message"] == "Job not found"


def test_a_job_that_goes_on_is_202(world: World) -> None:
    job_id = world.start()
    got = world.get(job_id, "?parse&wait=0.2")
    body = got.get_json()
    assert (got.status_code, body["statusCode"], body["name"], body["code"]) == (202, 202, "Accepted", "")
    assert body["job"] == {"id": job_id, "lifecycle": "ready", "state": "in_progress"}
    assert body["result_url"] == got.headers["Location"] == f"{JOB}/{job_id}?parse"
    assert (got.headers["Retry-After"], got.headers["Cache-Control"]) == ("1", "no-store")
    assert got.headers["X-Job-Id"] == job_id
    assert not {"X-Job-Lifecycle", "X-Job-State"} & set(got.headers.keys())


@pytest.mark.parametrize(("query", "headers"), [("?wait=0", {}), ("", {"Prefer": "respond-async"})])
def test_not_waiting_costs_one_look(query: str, headers: dict[str, str], world: World) -> None:
    job_id = world.start()
    for status in (202, 200):
        with world.calls() as calls:
            assert world.ask("GET", f"{JOB}/{job_id}{query}", **headers).status_code == status
        assert only_job(calls) == ["read"]
        world.theeye.finish(job_id)


def test_what_fails_in_passing_is_tried_again(world: World) -> None:
    job_id = world.post().headers["X-Job-Id"]
    world.theeye.fault("read", Reply(503, {"message": "x"}), times=2)
    assert world.get(job_id).status_code == 200
    world.theeye.fault("read", Reply(503, {"message": "x"}))
    got = world.get(job_id, "?wait=0")
    error_of(got, 502, "ESUPERVISOR")
    assert got.headers["X-Job-Id"] == job_id


def test_a_refused_token_is_401_and_asked_about_again(world: World) -> None:
    job_id = world.post().headers["X-Job-Id"]
    world.theeye.fault("read", Reply(401, "Unauthorized"), times=1)
    got = world.get(job_id)
    assert (got.status_code, got.data) == (401, b'"Unauthorized"')
    profiles = len(world.theeye.calls_of("profile"))
    assert world.get(job_id).status_code == 200
    assert len(world.theeye.calls_of("profile")) == profiles + 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_token_is_401_and_another_customers_403(method: str, world: World) -> None:
    job_id = world.post().headers["X-Job-Id"]
    with world.calls() as calls:
        assert world.ask(method, f"{JOB}/{job_id}", token="").status_code == 401
        assert world.ask(method, f"{JOB}/{job_id}", token="tok-beta").status_code == 403
    assert only_job(calls) == []


def test_head_is_get_without_the_body(world: World) -> None:
    ended = world.post().headers["X-Job-Id"]
    running = world.start()
    for path in (f"{ended}?parse", f"{running}?wait=0", "nothing"):
        head, get = (world.ask(method, f"{JOB}/{path}") for method in ("HEAD", "GET"))
        assert (head.status_code, head.data) == (get.status_code, b"")
        for own in ("Date", "Server-Timing", "X-Request-Id"):
            del head.headers[own], get.headers[own]
        assert dict(head.headers) == dict(get.headers)


# -- jobs that are not there ----------------------------------------------------------------------------------


def deleted(world: World) -> str:
    world.theeye.forget(job_id := world.post().headers["X-Job-Id"])
    return job_id


def run(world: World, path: str = JOB, token: str = "tok-acme", **task: Any) -> str:
    """Start a job, after setting up its task; return the job's id."""
    if task:
        world.theeye.task(**task)
    return world.ask("POST", path, token=token).headers["X-Job-Id"]


MISSING: dict[str, Callable[[World], str]] = {
    "unknown": lambda world: "61f42186c38201daffffffff",
    "invalid": lambda world: "nonsense",
    "odd": lambda world: "%3Fx%23%C3%B1%25",
    "deleted": deleted,
    "another task's": lambda world: run(world, f"/acme/task/{OTHER_TASK}/job", task_id=OTHER_TASK),
    "another customer's": lambda world: run(world, f"/beta/task/{TASK}/job", "tok-beta"),
    "a document of another customer": lambda world: run(world, customer_id=BETA.customer_id),
    "a document of no task": lambda world: run(world, document={"output": []}),
}


@pytest.mark.parametrize("find", MISSING.values(), ids=MISSING.keys())
def test_a_job_that_is_not_there_is_the_same_404(find: Callable[[World], str], world: World) -> None:
    job_id = find(world)
    with world.calls() as calls:
        answers = [world.get(job_id), world.get(job_id, "?full&wait=0"), world.delete(job_id)]
    for got in answers:
        error = error_of(got, 404, "ENOTFOUND")
        assert list(error) == ["message", "statusCode", "name", "code", "status"]
        assert error["message"] == "Job not found"
        assert not {"X-Job-Id", "X-Job-State", "Location"} & set(got.headers.keys())
    assert only_job(calls) == ["read"] * 3, "and nothing is cancelled"


FAILED_IN_THE_MAKING = {"lifecycle": "terminated", "state": "error", "output": "InvalidTaskArguments"}


@pytest.mark.parametrize(
    ("without", "status"),
    [((), 500), (("customer_id",), 500), (("task", "task_id"), 500), (("task", "task_id", "customer_id"), 404)],
)
def test_a_job_that_failed_in_the_making(without: tuple[str, ...], status: int, world: World) -> None:
    """The create's answer shows that the job has ended with a string as output; its document may lack fields."""
    job_id = world.start()
    document = world.theeye.jobs[job_id] | FAILED_IN_THE_MAKING
    shown = Reply(200, {name: value for name, value in document.items() if name not in without})
    world.theeye.fault("create", shown, times=1)
    world.theeye.fault("read", shown)
    for query in ("", "?parse"):
        later = world.get(job_id, query)
        assert later.status_code == status
        if status == 500:
            assert (later.get_json(), later.headers["X-Job-State"]) == ("InvalidTaskArguments", "error")
    got = world.post()
    assert (got.status_code, got.get_json(), got.headers["X-Job-Id"]) == (500, "InvalidTaskArguments", job_id)
