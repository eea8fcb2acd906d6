"""Test the sandbox over HTTP: gateway, supervisor, and the seed's examples."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from requests import Response
from support.processes import raw_request
from support.sandbox import (
    ECHO,
    FIVE,
    NOBODY,
    SEVERAL,
    SLEEPER,
    TASK,
    TIMEOUT,
    Client,
    eventually,
    recipe,
)

from sandbox import CUSTOMER_ID, TOKEN, Sandbox

THREE, PLAIN, JSON, ENDLESS = (letter * 24 for letter in "abcd")  # tasks of this file


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sandbox")
    arguments = [
        {"type": "fixed", "order": 1, "value": "always"},
        {"type": "input", "order": 2, "value": ""},
        {"type": "input", "order": 0, "value": ""},
    ]
    one = [{"type": "input", "order": 0}]
    for identifier, task in (
        (THREE, {"task_arguments": arguments}),
        (PLAIN, {"task_arguments": one, "arguments_type": "text"}),
        (JSON, {"task_arguments": one, "arguments_type": "json"}),
        (ENDLESS, {"autoremove_completed_jobs": False}),
    ):
        recipe(folder, identifier, "", type="dummy", **task)
    with Sandbox(database=folder / "theeye.sqlite3", tasks=[folder]) as sandbox:
        yield sandbox.url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@pytest.fixture
def stranger(url: str) -> Iterator[Client]:
    with Client(url, "no-such-token") as client:
        yield client


def login(client: Client, customer: str = "acme", auth: tuple[str, str] | None = ("ada", "lovelace")) -> Response:
    return client.call("POST", f"/api/auth/login?customer={customer}", auth=auth)


@pytest.fixture
def beta(client: Client) -> Iterator[Client]:
    with Client(client.url, login(client, "beta").json()["access_token"]) as beta:
        yield beta


# Documents


def test_a_job_document_has_every_field(client: Client) -> None:
    job = client.run(TASK, 100)
    fields = "order creation_date last_update customer_id customer_name name _type state lifecycle trigger_name"
    fields += " origin secret task_id task task_arguments_values host_id user_id components next result output id"
    assert set(fields.split()) <= set(job)
    assert (job["customer_id"], job["customer_name"], job["_type"]) == (CUSTOMER_ID, "acme", "ScriptJob")
    assert (job["task"]["autoremove_completed_jobs_limit"], job["task_arguments_values"]) == (10000, [100])
    result = job["result"]
    assert set(result) == {"code", "log", "lastline", "output", "signal", "killed", "times", "user"}
    assert (result["code"], result["signal"], result["killed"]) == (0, None, False)
    assert result["lastline"] + "\n" == result["log"]
    assert 0 < result["times"]["seconds"] * 10**9 + result["times"]["nanoseconds"] < 10**10
    assert set(result["user"]) == {"id", "username", "email"}


def test_a_created_job_is_shown_as_it_was_created(client: Client) -> None:
    created = client.call("POST", f"/acme/task/{TASK}/job", json=[100]).json()
    assert (created["lifecycle"], created["output"], "result" in created) == ("ready", [], False)
    ended = client.call("POST", f"/acme/task/{ECHO}/job", json=["x"]).json()  # a dummy has ended by then
    assert (ended["lifecycle"], ended["output"]) == ("finished", ["x"])


def test_a_task_document(client: Client) -> None:
    task = client.get(f"/acme/task/{TIMEOUT}").json()
    assert (task["id"], task["timeout"], task["enable"]) == (TIMEOUT, 1000, True)
    assert task["autoremove_completed_jobs_limit"] == 10000
    assert client.get(f"/acme/task/{FIVE}").json()["autoremove_completed_jobs_limit"] == 5
    tasks = client.get("/acme/task?limit=1000").json()
    assert task in tasks
    assert client.get("/acme/task?limit=2").json() == tasks[:2]
    assert client.get(f"/{CUSTOMER_ID}/task/{TASK}").status_code == 200


# Gateway


def test_login_gives_a_token_that_works(client: Client) -> None:
    with Client(client.url, login(client).json()["access_token"]) as ada:
        assert ada.get("/api/session/profile").json()["current_customer"]["name"] == "acme"


@pytest.mark.parametrize(
    ("customer", "auth"),
    [("", ("ada", "wrong")), ("", ("eve", "lovelace")), ("", None), ("Acme", ("ada", "lovelace"))],
)
def test_login_refuses(client: Client, customer: str, auth: tuple[str, str] | None) -> None:
    assert login(client, customer, auth).status_code == 401


def test_the_profile(client: Client) -> None:
    profile = client.get("/api/session/profile").json()
    assert {"id", "name", "username", "email", "credential", "customers"} <= set(profile)
    assert profile["current_customer"] == {"id": CUSTOMER_ID, "name": "acme", "display_name": "Acme", "config": {}}
    anonymous = client.get(f"/api/session/profile?access_token={TOKEN}", headers={"Authorization": None})
    assert anonymous.json()["username"] == "ada"


def test_the_short_profile(client: Client) -> None:
    profile = client.get("/api/session/profile?scopes[]=principal&scopes[]=organization").json()
    assert set(profile) == {"principal", "organization"}
    assert profile["principal"].keys() == {"id", "name", "username", "email"}
    assert profile["organization"].items() >= {"id": CUSTOMER_ID, "name": "acme", "alias": "acme"}.items()


def test_the_profile_of_an_unknown_token_shows_a_stack(stranger: Client) -> None:
    answer = stranger.get("/api/session/profile")
    assert (answer.status_code, {"message", "stack"} <= set(answer.json())) == (401, True)


def test_the_scope_that_never_answers_does_not_keep_the_sandbox_from_stopping(tmp_path: Path) -> None:
    with Sandbox(database=tmp_path / "x") as sandbox, socket.create_connection(sandbox.address) as caller:
        path = f"/api/session/profile?scopes[]=id&access_token={TOKEN}"
        caller.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        caller.settimeout(0.1)
        with pytest.raises(TimeoutError):
            caller.recv(1)


# Supervisor


REFUSALS = [
    ("POST", f"/Acme/task/{TASK}/job", 404, "organization not found"),
    ("POST", "/acme/task/xyz/job", 400, "task id is invalid"),
    ("POST", f"/acme/task/{NOBODY}/job", 404, "task not found"),
    ("GET", f"/acme/task/{NOBODY}", 404, "task not found"),
    ("GET", f"/acme/job/{NOBODY}", 404, "job not found"),
    ("GET", "/acme/job/61f42186c38201da80f9a00", 400, "job id is invalid"),
    ("GET", "/acme/job/x/lifecycle", 400, "job id is invalid"),
    ("GET", f"/acme/job/{NOBODY}/lifecycle", 404, "job not found"),
    ("PUT", f"/job/{NOBODY}/synced", 404, "job not found"),
]
FOR_ALL = [
    *(("POST", f"/acme/task/{TASK}/job"), ("GET", f"/acme/task/{TASK}"), ("PUT", f"/acme/job/{NOBODY}/cancel")),
    *(("GET", "/acme/job/not-an-id"), ("GET", "/nowhere/task/not-an-id")),
]
NO_PATH = ("GET", "/nowhere/at/all", 404, {"code": "NotFound", "message": "Not Found"})


@pytest.mark.parametrize(("method", "path", "status", "body"), [*REFUSALS, NO_PATH])
def test_refusals(client: Client, method: str, path: str, status: int, body: Any) -> None:
    assert client.told(method, path) == (status, body)


@pytest.mark.parametrize(("method", "path"), [*FOR_ALL, *((method, path) for method, path, _, _ in REFUSALS)])
def test_an_unknown_token_is_refused_everywhere(stranger: Client, method: str, path: str) -> None:
    assert stranger.told(method, path) == (401, "Unauthorized")


def test_a_session_of_another_organisation_is_a_conflict(client: Client, beta: Client) -> None:
    job = client.create(ECHO)
    assert beta.call("POST", f"/acme/task/{ECHO}/job").status_code == 409
    assert beta.get(f"/acme/job/{job}").status_code == 409
    assert client.get(f"/beta/job/{job}").status_code == 409


def test_theeye_runs_the_tasks_and_shows_the_jobs_of_other_organisations(client: Client, beta: Client) -> None:
    assert beta.get(f"/beta/task/{ECHO}").status_code == 404
    assert (beta.get("/beta/task").json(), len(client.get("/acme/task?limit=3").json())) == ([], 3)
    job = beta.call("POST", f"/beta/task/{ECHO}/job", json=["x"]).json()
    assert (job["customer_name"], job["output"]) == ("beta", ["x"])
    parked = client.create(ECHO, lifecycle="onhold")
    assert beta.get(f"/beta/job/{parked}").json()["customer_name"] == "acme"
    assert beta.call("PUT", f"/beta/job/{parked}/cancel").status_code == 204
    assert client.lifecycle(parked) == "canceled"


@pytest.mark.parametrize("body", [b"{", b"[NaN]", b"\xff", b"[" * 100_000, b"[" + b"9" * 5000 + b"]"])
def test_a_body_that_is_not_json(client: Client, body: bytes) -> None:
    answer = client.call("POST", f"/acme/task/{ECHO}/job", data=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidContent")


def test_wait_result_answers_303_without_the_token(client: Client) -> None:
    path = f"/acme/task/{ECHO}/job?wait_result=true&parse=1&access_token={TOKEN}"
    answer = client.call("POST", path, json=[1])
    assert answer.status_code == 303
    assert re.fullmatch(r"/job/[0-9a-f]{24}/result\?wait_result=true&parse=1", answer.headers["Location"])


@pytest.mark.parametrize(("query", "body"), [("?lifecycle=onhold", {}), ("", {"lifecycle": "onhold"})])
def test_onhold_parks_a_job(client: Client, query: str, body: dict[str, str]) -> None:
    job = client.call("POST", f"/acme/task/{ECHO}/job{query}", json={"task_arguments": ["x"], **body}).json()
    assert (job["lifecycle"], client.lifecycle(job["id"])) == ("onhold", "onhold")


@pytest.mark.parametrize("task", [ECHO, SEVERAL])
def test_a_syncing_job_waits_to_be_released(client: Client, task: str) -> None:
    job = client.create(task, "x", lifecycle="syncing")
    assert client.lifecycle(job) == "syncing"
    assert client.told("PUT", f"/job/{job}/synced") == (200, "ok")
    assert client.ended(job)["state"] == "success"
    again = client.told("PUT", f"/job/{job}/synced")
    assert again == (400, "job lifecycle must be syncing. finished is set")


# Arguments

EVERYTHING = [
    # task, query, body, values
    (ECHO, "", {"task_arguments": [1, "a", None]}, [1, "a", None]),
    *((ECHO, "", values, values) for values in ([1, 2], [])),
    *((ECHO, "", body, [body]) for body in ({}, "text")),
    *((task, "", {"a": 1}, [{"a": 1}]) for task in (ECHO, TASK)),
    *((task, "", None, [{}]) for task in (ECHO, TASK)),
    (ECHO, "?a=1&a=2&b=3", None, [{"a": ["1", "2"], "b": "3"}]),
    (ECHO, "?task_arguments=a&task_arguments=b", None, ["a", "b"]),
    (ECHO, "?task_arguments[]=a", {"c": 1}, ["a"]),
    (ECHO, "?task_arguments[0]=a&task_arguments[1]=b", None, ["a", "b"]),
    (ECHO, "?task_arguments=a&task_arguments=b", {"task_arguments": ["c"]}, ["c"]),
    (TASK, "", {"task_arguments": [5, 6]}, [5]),
    (THREE, "", ["first", None, "second"], ["first", "always", "second"]),
    (SEVERAL, "", ["x"], []),
    (TASK, "", [{"value": "v", "a": 1}], ["v"]),
    (TASK, "", [{"value": {"order": 7}}], [{"order": 7}]),
    (THREE, "", [{"order": 0}, {"order": 5}, {"order": 2, "value": "v"}], [{"order": 0}, "always", "v"]),
    (PLAIN, "", [{"value": "v", "order": 5}], [{"value": "v", "order": 5}]),
    (JSON, "", [{"value": {"a": 1}}], ['{"a":1}']),
    (JSON, "", ["x"], ['"x"']),
]


@pytest.mark.parametrize(("task", "query", "body", "values"), EVERYTHING)
def test_argument_rules(client: Client, task: str, query: str, body: Any, values: list[Any]) -> None:
    # An access token in the query is never an argument.
    query = f"{query}&access_token={TOKEN}" if query else f"?access_token={TOKEN}"
    data = None if body is None else json.dumps(body)
    answer = client.call("POST", f"/acme/task/{task}/job{query}", data=data)
    assert answer.json()["task_arguments_values"] == values


def test_a_form_is_an_object(client: Client) -> None:
    answer = client.call("POST", f"/acme/task/{ECHO}/job", data={"a": "1"})
    assert answer.json()["task_arguments_values"] == [{"a": "1"}]


FEW = "Invalid Task Arguments. An array of length {} is required. Optionals must be null"


@pytest.mark.parametrize(
    ("task", "query", "body", "message"),
    [
        *((TASK, "", body, FEW.format(1)) for body in ([], {"task_arguments": "x"}, {"task_arguments": []})),
        (THREE, "", ["x", "y"], FEW.format(3)),
        *((ECHO, "", {"lifecycle": value}, "Invalid lifecycle") for value in ("nonsense", 7)),
        *((ECHO, "", {"assignee": value}, "Invalid assignee") for value in ("ada", ["eve"], {})),
        (ECHO, "?assignee[]=eve", [], "Invalid assignee"),
    ],
)
def test_a_create_that_is_refused(client: Client, task: str, query: str, body: Any, message: str) -> None:
    told = client.told("POST", f"/acme/task/{task}/job{query}", json=body)
    assert told == (400, {"statusCode": 400, "message": message, "errors": []})


@pytest.mark.parametrize("assignee", [["ada"], []])
def test_an_assignee_is_a_list_of_known_users(client: Client, assignee: list[str]) -> None:
    assert client.job(client.create(ECHO, "x", assignee=assignee))["assigned_users"] == assignee


def test_an_object_for_another_position_is_a_job_that_has_failed(client: Client) -> None:
    job = client.call("POST", f"/acme/task/{TASK}/job", json=[{"order": 3, "value": 1}]).json()
    assert (job["lifecycle"], job["state"], job["output"]) == ("terminated", "error", "InvalidTaskArguments")
    assert client.job(job["id"]) == job


# Cancel and history


def cancel(client: Client, job: str) -> Any:
    answer = client.call("PUT", f"/acme/job/{job}/cancel")
    assert (answer.status_code, answer.text) == (204, "")
    return client.job(job)


@pytest.mark.parametrize(
    ("task", "more", "before", "after"),
    [
        pytest.param(ECHO, {"lifecycle": "onhold"}, "onhold", "canceled", id="parked"),
        pytest.param(SLEEPER, {}, "assigned", "terminated", id="running: it is killed"),
    ],
)
def test_cancel(client: Client, task: str, more: dict[str, str], before: str, after: str) -> None:
    job = client.create(task, 60, **more)
    eventually(lambda: client.lifecycle(job) == before)
    document = cancel(client, job)
    assert (document["lifecycle"], document["state"]) == (after, "canceled")
    assert json.loads(document["output"][0])["username"] == "ada"
    assert document["result"]["user"]["email"] == "ada@example.org"


def test_cancel_of_an_ended_or_syncing_job_changes_nothing(client: Client) -> None:
    for job in (client.create(ECHO, "x"), client.create(ECHO, "x", lifecycle="syncing")):
        before = client.job(job)
        assert cancel(client, job) == before


def test_the_history_limit_keeps_the_newest_and_what_is_not_ended(client: Client) -> None:
    parked = client.create(FIVE, lifecycle="onhold")
    first = client.create(FIVE, 0)
    rest = [client.create(FIVE, number) for number in range(1, 5)]
    assert client.get(f"/acme/job/{first}").status_code == 200
    rest.append(client.create(FIVE, 5))
    assert client.get(f"/acme/job/{first}").status_code == 404
    assert [client.lifecycle(job) for job in rest] == ["finished"] * 5
    assert client.lifecycle(parked) == "onhold"


def test_the_history_limit_can_be_off(client: Client) -> None:
    assert {client.lifecycle(job) for job in [client.create(ENDLESS) for _ in range(8)]} == {"finished"}


# The server


def test_a_connection_is_kept_and_answers_at_once(tmp_path: Path) -> None:
    used = set()
    with Sandbox(database=tmp_path / "x") as sandbox, Client(sandbox.url) as client:
        for path in (f"/acme/task/{ECHO}/job", "/nowhere", f"/acme/task/{ECHO}/job"):
            assert client.call("POST", path, json=[1]).ok is (path != "/nowhere")
            [theirs] = sandbox._server._connections()
            used.add(theirs.getpeername())
            assert theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "else each waits for an acknowledgement"
    assert len(used) == 1, "also a refused request leaves no body on the connection"


def test_two_hundred_callers_at_once(client: Client) -> None:
    barrier = threading.Barrier(200)

    def call(_: int) -> int:
        with Client(client.url) as own:
            barrier.wait(20)
            return own.call("POST", f"/acme/task/{ECHO}/job", json=["x"]).status_code

    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(call, range(200))) == {200}


def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    head = f"POST /acme/task/{ECHO}/job HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n\r\n"
    assert raw_request(*client.address, head.encode()).status == 413


def test_large_and_odd_arguments_come_back_unchanged(client: Client) -> None:
    values = ["x" * 1_000_000, "señal ☕ 😀", "\ud83d", "nul\u0000", 12345678901234567890, {"deep": [[[1.5]]]}]
    job = client.run(ECHO, *values)
    assert job["task_arguments_values"] == values
    assert job["output"][4:] == ["12345678901234567890", '{"deep":[[[1.5]]]}']
