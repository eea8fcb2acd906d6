"""`?response` over HTTP: the answers of the sandbox's tasks, and what is refused."""

import base64
import json
from collections.abc import Iterator

import pytest
import requests
from support.processes import RawResponse, Service, raw_request
from support.theeye import TASK, StandIn

from sandbox import CUSTOMER, TOKEN, Sandbox

TASKS = "61f3e937c38201da80f96c3"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(database=tmp_path_factory.mktemp("sandbox") / "theeye.sqlite3") as running:
        yield running


@pytest.fixture(scope="module")
def sandbox_service(sandbox: Sandbox) -> Iterator[Service]:
    with Service({"SYNC_GATEWAY_URL": sandbox.url, "SYNC_SUPERVISOR_URL": sandbox.url}) as running:
        yield running


def ask_sandbox(service: Service, task: str, query: str = "response") -> requests.Response:
    url = f"{service.url}/{CUSTOMER}/task/{TASKS}{task}/job?{query}"
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://app.example"}
    return requests.post(url, json=[], headers=headers, timeout=30, allow_redirects=False)


def test_a_task_answers_an_html_page(sandbox_service: Service) -> None:
    got = ask_sandbox(sandbox_service, "0")
    assert got.status_code == 200
    assert got.headers["Content-Type"] == "text/html; charset=utf-8"
    assert got.text.startswith("<!doctype html>")
    assert "all well ✓" in got.text
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert got.headers["X-Job-State"] == "success"
    assert got.headers["Access-Control-Allow-Origin"] == "https://app.example"


def test_a_task_answers_a_csv_file(sandbox_service: Service) -> None:
    got = ask_sandbox(sandbox_service, "1")
    assert got.status_code == 200
    assert got.headers["Content-Type"] == "text/csv; header=present; charset=utf-8"
    assert got.headers["Content-Disposition"] == 'attachment; filename="servers.csv"'
    assert got.text.splitlines()[1] == 'web-1,up,"says ""hello, world"""'


def test_a_task_answers_a_picture(sandbox_service: Service) -> None:
    got = ask_sandbox(sandbox_service, "2")
    assert got.headers["Content-Type"] == "image/png"
    assert got.content.startswith(b"\x89PNG\r\n\x1a\n")
    assert int(got.headers["Content-Length"]) == len(got.content)
    assert base64.b64decode(json.loads(ask_sandbox(sandbox_service, "2", "parse").content)["body"]) == got.content


def test_the_same_answer_later(sandbox_service: Service) -> None:
    first = ask_sandbox(sandbox_service, "0")
    url = f"{sandbox_service.url}/{CUSTOMER}/task/{TASKS}0/job/{first.headers['X-Job-Id']}?response"
    later = requests.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert (later.status_code, later.text) == (200, first.text)
    assert later.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


@pytest.fixture(scope="module")
def shared_theeye() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def service(shared_theeye: StandIn) -> Iterator[Service]:
    env = {"SYNC_GATEWAY_URL": shared_theeye.url, "SYNC_SUPERVISOR_URL": shared_theeye.url}
    with Service(env) as running:
        yield running


def ask(service: Service, query: str = "response") -> RawResponse:
    head = f"POST /acme/task/{TASK}/job?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\n"
    return raw_request("127.0.0.1", service.port, f"{head}Content-Length: 2\r\n\r\n[]".encode())


def test_a_redirect_reaches_the_client(service: Service, shared_theeye: StandIn) -> None:
    shared_theeye.task(output=['{"statusCode":303,"headers":{"Location":"/elsewhere"}}'])
    got = ask(service)
    assert (got.status_line, got.header("Location")) == ("HTTP/1.1 303 See Other", "/elsewhere")
    assert got.header("X-Job-Id")


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_has_none(status: int, service: Service, shared_theeye: StandIn) -> None:
    shared_theeye.task(output=[json.dumps({"statusCode": status, "body": "x", "headers": {"X-A": "b"}})])
    got = ask(service)
    assert (got.status, got.body, got.header("Content-Type"), got.header("X-A")) == (status, b"", None, "b")


def test_a_split_response_is_502_with_a_word_and_the_job(service: Service, shared_theeye: StandIn) -> None:
    shared_theeye.task(output=[json.dumps({"headers": {"X-A": "b\r\nX-Injected: c\r\n\r\n<html>"}})])
    got = ask(service)
    error = json.loads(got.body)
    assert got.status == error["statusCode"] == error["status"] == 502
    assert (error["code"], error["name"], error["formatter"]) == ("EFORMATTER", "ServerError", "response")
    assert error["message"] == "The formatter 'response' failed: the header X-A has a value that HTTP does not allow"
    assert error["job"]["id"] == got.header("X-Job-Id")
    assert got.header("X-Injected") is None
    assert got.complete


def test_an_output_that_is_no_response_is_502_with_a_word(service: Service, shared_theeye: StandIn) -> None:
    shared_theeye.task(output=["plain words"], state="failure")
    got = ask(service)
    assert got.status == 502
    assert json.loads(got.body)["message"] == "The formatter 'response' failed: the job's output is not JSON"
    assert got.header("X-Job-State") == "failure"


def test_a_bad_index_is_400_and_nothing_was_started(service: Service, shared_theeye: StandIn) -> None:
    before = len(shared_theeye.calls_of("create"))
    got = ask(service, "response=first")
    error = json.loads(got.body)
    assert (got.status, error["code"], error["statusCode"]) == (400, "EINVALID", 400)
    assert "must be an index" in error["message"]
    assert len(shared_theeye.calls_of("create")) == before


def test_response_is_not_passed_on_as_an_argument(service: Service, shared_theeye: StandIn) -> None:
    shared_theeye.task(output=['{"body":"x"}'])
    assert ask(service, "response=0&a=1").body == b"x"
    assert shared_theeye.calls_of("create")[-1].query == [("a", "1")]
