"""The answer of a job later, and its cancel: `GET` and `DELETE` on /{customer}/task/{task}/job/{job}."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.theeye import ACME, BETA, JOB, TASK, Reply
from support.world import World, only_job

OTHER_TASK = "61f3e937c38201da80f96c28"
MODES = ["", "?parse", "?parse=1", "?parse=7", "?result", "?full", "?full&parse"]
SAME_HEADERS = ["Content-Type", "Content-Length", "ETag", "X-Job-Id", "X-Job-Lifecycle", "X-Job-State"]


pytestmark = pytest.mark.settings(wait_seconds=10)


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


def test_a_get_waits_for_the_end(world: World) -> None:
    job_id = world.start(output=["1"])
    reads = len(world.theeye.calls_of("read"))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(world.get, job_id)
        world.theeye.wait_for_calls("read", reads + 1)
        assert not answer.done()
        world.theeye.finish(job_id)
        got = answer.result()
    assert (got.status_code, got.get_json()) == (200, ["1"])


def test_several_wait_for_the_same_end(world: World) -> None:
    job_id = world.start(output=["1"])
    reads = len(world.theeye.calls_of("read"))
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(world.get, job_id, mode) for mode in ("", "", "?parse", "?full", "?result")]
        world.theeye.wait_for_calls("read", reads + 5)
        world.theeye.finish(job_id)
        assert [answer.result().status_code for answer in answers] == [200] * 5


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
    with world.calls() as calls:
        got = world.ask("GET", f"{JOB}/{job_id}{query}", **headers)
    assert got.status_code == 202
    assert only_job(calls) == ["read"]
    world.theeye.finish(job_id)
    with world.calls() as calls:
        assert world.ask("GET", f"{JOB}/{job_id}{query}", **headers).status_code == 200
    assert only_job(calls) == ["read"]


def test_what_fails_in_passing_is_tried_again(world: World) -> None:
    job_id = world.post().headers["X-Job-Id"]
    world.theeye.fault("read", Reply(503, {"message": "x"}), times=2)
    assert world.get(job_id).status_code == 200
    world.theeye.fault("read", Reply(503, {"message": "x"}))
    got = world.get(job_id, "?wait=0")
    assert (got.status_code, got.get_json()["code"], got.headers["X-Job-Id"]) == (502, "ESUPERVISOR", job_id)


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
        dropped = ("Date", "Server-Timing", "X-Request-Id")
        assert {n: v for n, v in head.headers.items() if n not in dropped} == {
            n: v for n, v in get.headers.items() if n not in dropped
        }


# -- jobs that are not there ----------------------------------------------------------------------------------


def deleted(world: World) -> str:
    job_id = world.post().headers["X-Job-Id"]
    world.theeye.forget(job_id)
    return job_id


def of_another_task(world: World) -> str:
    world.theeye.task(OTHER_TASK)
    return world.ask("POST", f"/acme/task/{OTHER_TASK}/job").headers["X-Job-Id"]


def of_another_customer(world: World) -> str:
    return world.ask("POST", f"/beta/task/{TASK}/job", token="tok-beta").headers["X-Job-Id"]


def shown_to_the_wrong_customer(world: World) -> str:
    world.theeye.task(customer_id=BETA.customer_id)
    return world.post().headers["X-Job-Id"]


def of_no_task(world: World) -> str:
    world.theeye.task(document={"output": []})
    return world.post().headers["X-Job-Id"]


MISSING: dict[str, Callable[[World], str]] = {
    "unknown": lambda world: "61f42186c38201daffffffff",
    "invalid": lambda world: "nonsense",
    "odd": lambda world: "%3Fx%23%C3%B1%25",
    "deleted": deleted,
    "another task's": of_another_task,
    "another customer's": of_another_customer,
    "a document of another customer": shown_to_the_wrong_customer,
    "a document of no task": of_no_task,
}


@pytest.mark.parametrize("find", MISSING.values(), ids=MISSING.keys())
def test_a_job_that_is_not_there_is_the_same_404(find: Callable[[World], str], world: World) -> None:
    job_id = find(world)
    with world.calls() as calls:
        answers = [world.get(job_id), world.get(job_id, "?full&wait=0"), world.delete(job_id)]
    for got in answers:
        assert got.status_code == 404
        assert got.get_json() == {
            "message": "Job not found",
            "statusCode": 404,
            "name": "ClientError",
            "code": "ENOTFOUND",
            "status": 404,
        }
        assert not {"X-Job-Id", "X-Job-State", "Location"} & set(got.headers.keys())
    assert only_job(calls) == ["read"] * 3, "and nothing is cancelled"


def test_a_job_deleted_while_a_get_waits_is_404(world: World) -> None:
    job_id = world.start()
    reads = len(world.theeye.calls_of("read"))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(world.get, job_id)
        world.theeye.wait_for_calls("read", reads + 1)
        world.theeye.forget(job_id)
        got = answer.result()
    assert (got.status_code, got.get_json()["message"]) == (404, "Job not found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_another_method_is_405_with_allow(method: str, world: World) -> None:
    got = world.ask(method, f"{JOB}/61f42186c38201daffffffff")
    assert (got.status_code, got.get_json()["code"]) == (405, "EMETHOD")
    assert got.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS"
