"""Test the seed's examples through gunicorn and the sandbox's TheEye, with and without Redis."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from support.events import read_events
from support.processes import Redis, Service
from support.sandbox import (
    BRANCHES,
    ECHO,
    FAILURE,
    FIVE,
    ID,
    MINE,
    NOT_JSON,
    SEVERAL,
    SHIPPING,
    SLEEPER,
    TASK,
    TEXT_418,
    TOTAL,
    Client,
    check_live,
    eventually,
    recipe,
    script,
    step,
    workflow_recipe,
)
from support.settings import environment

from app.api.responses import etag
from sandbox import CUSTOMER_ID, PASSWORD, TOKEN, USER, Sandbox

ERROR_418 = {
    "message": "Validation Error. Invalid Argument Value",
    **{"statusCode": 418, "name": "ClientError", "code": "", "status": 418},
}


@dataclass(frozen=True)
class Person:
    """Call the service in front of a sandbox."""

    sandbox: Sandbox
    client: Client

    def post(
        self, runs: str, arguments: list[Any], query: str = "", kind: str = "task", **headers: str
    ) -> requests.Response:
        body = {"task_arguments": arguments}
        return self.client.call("POST", f"/acme/{kind}/{runs}/job{query}", json=body, headers=headers)


@pytest.fixture(scope="module", params=["gevent-notified", "gthread-polling"])
def person(
    request: pytest.FixtureRequest, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Person]:
    worker, _, waits = request.param.partition("-")
    redis_url = redis_server.url if waits == "notified" else ""
    folder = tmp_path_factory.mktemp("sandbox")
    sleeps = script("sleep 60")
    edges = [("0", "success", "1"), ("0", "success", "2")]
    workflow_recipe(folder, edges, step("0"), step("1", sleeps), step("2", sleeps))
    recipe(folder, ID, "echo going to sleep; sleep 60", timeout=3000)  # on a busy machine, too, it has begun by then
    with Sandbox(database=folder / "theeye.sqlite3", tasks=[folder], redis_url=redis_url) as sandbox:
        env = environment(sandbox, redis_url=redis_url)
        with Service(env, worker=worker) as service, Client(service.url) as client:
            client.http.headers["Connection"] = "close"  # an idle connection would hold up the service's end
            yield Person(sandbox, client)


def test_the_seeds_answer(person: Person) -> None:
    got = person.post(TASK, [100])
    [output] = got.json()
    check_live(output)
    assert (got.status_code, got.reason, got.headers["Content-Length"]) == (200, "OK", "62")
    check_live(person.post(TASK, [100], "?parse").text)
    assert person.post(TASK, [200], "?parse").reason == "I'm a Teapot"


def test_full(person: Person) -> None:
    got = person.post(TASK, [100], "?full")
    job = got.json()
    assert (job["id"], job["task_id"], job["customer_id"]) == (got.headers["X-Job-Id"], TASK, CUSTOMER_ID)
    assert (job["lifecycle"], job["state"], job["task_arguments_values"]) == ("finished", "success", [100])
    check_live(job["output"][0])
    assert person.client.get(f"/acme/task/{TASK}/job/{job['id']}?full").json() == job
    assert person.post(FAILURE, [], "?full").json()["trigger_name"] == "failure"


@pytest.mark.parametrize(
    ("workflow", "order", "status", "answer", "tasks"),
    [
        (TOTAL, 7, 200, {"order": 7, "total": 104}, ["Read the order", "Add it up"]),
        (BRANCHES, 7, 200, {"order": 7, "reserved": 2}, ["Read the order", "Add it up", "Reserve the items"]),
        (SHIPPING, 200, 409, None, ["Read the order", "Check the stock"]),
    ],
)
def test_a_workflow(person: Person, workflow: str, order: int, status: int, answer: Any, tasks: list[str]) -> None:
    got = person.post(workflow, [order], "?parse", "workflow")
    answer = answer or {"statusCode": 409, "message": f"order {order}: not in stock"}
    assert (got.status_code, got.json()) == (status, answer)
    job = got.headers["X-Job-Id"]
    path = f"/acme/workflow/{workflow}/job/{job}"
    assert [json.loads(output) for output in person.client.get(path).json()] == [answer]
    assert person.client.get(f"{path}?result").json()["output"] == answer
    full = person.client.get(f"{path}?full").json()
    assert (full["id"], full["_type"], full["output"]) == (job, "WorkflowJob", [])
    assert [each["name"] for each in full["jobs"]] == tasks


def test_the_events_of_a_workflow(person: Person) -> None:
    got = person.post(TOTAL, [7], "?parse", "workflow", Accept="text/event-stream")
    events = list(read_events([got.content]))
    steps = [event.data["task"] for event in events if event.name == "lifecycle" and "task" in event.data]
    ended = [(each["name"], each["state"]) for each in steps if each["lifecycle"] == "finished"]
    assert ended == [("Read the order", "success"), ("Add it up", "success")]
    assert (events[0].name, events[-1].name, events[-1].data["body"]) == ("job", "answer", '{"order":7,"total":104}')


def test_a_cancel_reaches_both_branches(person: Person) -> None:
    started = person.post(MINE, [], "", "workflow", Prefer="respond-async")
    with Client(person.sandbox.url) as theeye:
        path = f"/workflows/{MINE}/job/{started.headers['X-Job-Id']}/jobs?customer=acme"

        def ways() -> list[str]:
            return [job["lifecycle"] for job in theeye.get(path).json()]

        assert eventually(lambda: ways()[1:] == ["assigned", "assigned"])
        assert person.client.call("DELETE", started.headers["Location"]).status_code == 204
        assert ways() == ["finished", "terminated", "terminated"]


def test_the_token_in_the_query_and_the_customers_id(person: Person) -> None:
    path = f"/{CUSTOMER_ID}/task/{TASK}/job?parse&access_token={TOKEN}"
    got = person.client.call("POST", path, json={"task_arguments": [200]}, headers={"Authorization": None})
    assert (got.status_code, got.json()) == (418, ERROR_418)


def test_wrong_arguments_are_theeyes_400(person: Person) -> None:
    got = person.post(TASK, [])
    assert (got.status_code, "X-Job-Id" in got.headers) == (400, False)
    assert "array of length 1" in got.json()["value"]["message"]


OUTPUTS = ['{"first":1}', '{"second":2,"statusCode":201}', "not JSON"]
TEXT_400 = TEXT_418.replace("Invalid Argument Value", "The Argument Is Not A Number").replace("418", "400")
KILLED = {"killed": True, "signal": "SIGKILL", "code": None, "output": None}
ODD = ["text", "se\xf1al \u2615 \U0001f600", '{"a":1}', "'; rm -rf / #", ""]


@pytest.mark.parametrize(
    ("task", "arguments", "query", "status", "body"),
    [
        (TASK, [200], "", 500, [TEXT_418]),
        (TASK, [200], "?parse", 418, ERROR_418),
        (TASK, ["nan"], "", 500, [TEXT_418]),
        *((TASK, [value], "", 500, [TEXT_400]) for value in ("many", "", None)),
        *((SEVERAL, [], query, 200, {"first": 1}) for query in ("?parse", "?parse=0")),
        (SEVERAL, [], "?parse=1", 201, {"second": 2, "statusCode": 201}),
        *((SEVERAL, [], query, 200, OUTPUTS) for query in ("?parse=2", "?parse=3", "")),
        *((NOT_JSON, [], query, 200, ["plain words, not JSON"]) for query in ("", "?parse")),
        (FAILURE, [], "?parse", 422, {"message": "It did not work", "statusCode": 422}),
        (SLEEPER, [0.2], "?parse", 200, {"slept": 0.2}),
        *((task, ODD, "", 200, ODD) for task in (ECHO, FIVE)),
        *((task, [{"b": [1, None]}], "?parse", 200, {"b": [1, None]}) for task in (ECHO, FIVE)),
    ],
)
def test_a_task(task: str, arguments: list[Any], query: str, status: int, body: Any, person: Person) -> None:
    got = person.post(task, arguments, query)
    assert (got.status_code, got.json(), got.headers["ETag"]) == (status, body, etag(got.content))
    assert got.headers["X-Job-State"] == ("failure" if status >= 400 else "success")


@pytest.mark.parametrize(
    ("task", "arguments", "state", "lifecycle", "log", "fields"),
    [
        (TASK, [200], "failure", "finished", "{", {"output": ERROR_418, "killed": False}),
        (FAILURE, [], "failure", "finished", "about to fail\nsomething is wrong\n", {"code": 1}),
        (ID, [], "timeout", "terminated", "", {**KILLED, "log": "going to sleep\n"}),
    ],
)
def test_a_result(
    task: str, arguments: list[Any], state: str, lifecycle: str, log: str, fields: dict[str, Any], person: Person
) -> None:
    got = person.post(task, arguments, "?result")
    result = got.json()
    assert (got.status_code, got.headers["X-Job-State"], got.headers["X-Job-Lifecycle"]) == (500, state, lifecycle)
    assert result.keys() == {"code", "log", "lastline", "output", "signal", "killed", "times", "user"}
    assert fields.items() <= result.items()
    assert (result["log"].startswith(log), result["user"]["username"]) == (True, USER)


def test_50_callers_each_get_their_own_answer(person: Person) -> None:
    def ask(number: int) -> Any:
        task, arguments = (SLEEPER, [number / 1000]) if number % 2 else (ECHO, [f'{{"slept":{number / 1000}}}'])
        got = person.post(task, arguments, "?parse")
        return got.status_code, got.json()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert answers == [(200, {"slept": number / 1000}) for number in range(50)]


def test_a_running_job_is_cancelled(person: Person) -> None:
    started = person.post(SLEEPER, [60], Prefer="respond-async")
    assert started.status_code == 202
    with ThreadPoolExecutor(1) as pool:
        parked = pool.submit(person.client.get, started.headers["Location"] + "?full")
        assert person.client.call("DELETE", started.headers["Location"]).status_code == 204
        got = parked.result()
    assert (got.status_code, got.headers["X-Job-State"]) == (500, "canceled")
    assert got.headers["X-Job-Lifecycle"] in ("canceled", "terminated")
    again = person.client.call("DELETE", started.headers["Location"])
    assert (again.status_code, again.json()["code"]) == (409, "EJOBENDED")


def test_a_token_from_the_login(person: Person) -> None:
    job = person.post(ECHO, ["x"]).headers["X-Job-Id"]
    with Client(person.sandbox.url) as sandbox:
        for customer, status in (("acme", 200), ("beta", 403)):
            login = sandbox.call("POST", f"/api/auth/login?customer={customer}", auth=(USER, PASSWORD))
            token = {"Authorization": f"Bearer {login.json()['access_token']}"}
            assert person.post(ECHO, ["x"], **token).status_code == status
    assert person.post(ECHO, ["x"], Authorization="Bearer " + "0" * 64).status_code == 401
    for method, path in (("POST", "job"), ("GET", f"job/{job}"), ("DELETE", f"job/{job}")):
        got = person.client.call(method, f"/beta/task/{ECHO}/{path}", headers=token)
        assert got.status_code == 404, "TheEye itself runs and shows what is another organisation's"
