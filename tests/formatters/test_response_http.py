"""Test `?response` over HTTP: the answers of the sandbox's tasks, and what is refused."""

import base64
import json
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.client import ask, error_of, post
from support.theeye import JOB, StandIn
from werkzeug.test import TestResponse

from sandbox import CUSTOMER, TOKEN, Sandbox

TASKS = "61f3e937c38201da80f96c3"


@pytest.fixture
def sandbox_client(sandbox: Sandbox, make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(gateway_url=sandbox.url, supervisor_url=sandbox.url).test_client()


def ask_sandbox(client: FlaskClient, task: str, query: str = "response") -> TestResponse:
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://app.example"}
    return post(client, f"/{CUSTOMER}/task/{TASKS}{task}/job?{query}", b"[]", **headers)


def test_a_task_answers_an_html_page(sandbox_client: FlaskClient) -> None:
    got = ask_sandbox(sandbox_client, "0")
    assert (got.status_code, got.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert got.text.startswith("<!doctype html>")
    assert "all well ✓" in got.text
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert got.headers["X-Job-State"] == "success"
    assert got.headers["Access-Control-Allow-Origin"] == "https://app.example"
    target = f"/{CUSTOMER}/task/{TASKS}0/job/{got.headers['X-Job-Id']}?response"
    later = ask(sandbox_client, "GET", target, Authorization=f"Bearer {TOKEN}")
    assert (later.status_code, later.text) == (200, got.text)
    assert later.headers["Content-Security-Policy"] == got.headers["Content-Security-Policy"]


def test_a_task_answers_a_csv_file(sandbox_client: FlaskClient) -> None:
    got = ask_sandbox(sandbox_client, "1")
    assert got.status_code == 200
    assert got.headers["Content-Type"] == "text/csv; header=present; charset=utf-8"
    assert got.headers["Content-Disposition"] == 'attachment; filename="servers.csv"'
    assert got.text.splitlines()[1] == 'web-1,up,"says ""hello, world"""'


def test_a_task_answers_a_picture(sandbox_client: FlaskClient) -> None:
    got = ask_sandbox(sandbox_client, "2")
    assert got.headers["Content-Type"] == "image/png"
    assert got.data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int(got.headers["Content-Length"]) == len(got.data)
    assert base64.b64decode(json.loads(ask_sandbox(sandbox_client, "2", "parse").data)["body"]) == got.data


def run(client: FlaskClient, query: str = "response") -> TestResponse:
    return post(client, f"{JOB}?{query}", b"[]")


def test_a_redirect_reaches_the_client(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=['{"statusCode":303,"headers":{"Location":"/elsewhere"}}'])
    got = run(client)
    assert (got.status, got.headers["Location"]) == ("303 See Other", "/elsewhere")
    assert got.headers.get("X-Job-Id")


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_has_none(status: int, client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=[json.dumps({"statusCode": status, "body": "x", "headers": {"X-A": "b"}})])
    got = run(client)
    assert (got.status_code, got.data, got.headers["X-A"]) == (status, b"", "b")
    assert "Content-Type" not in got.headers


def test_a_split_response_is_502_with_a_word_and_the_job(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=[json.dumps({"headers": {"X-A": "b\r\nX-Injected: c\r\n\r\n<html>"}})])
    got = run(client)
    error = error_of(got, 502, "EFORMATTER")
    assert error["message"] == "The formatter 'response' failed: the header X-A has a value that HTTP does not allow"
    assert (error["formatter"], error["job"]["id"]) == ("response", got.headers["X-Job-Id"])
    assert "X-Injected" not in got.headers


def test_an_output_that_is_no_response_is_502_with_a_word(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=["plain words"], state="failure")
    got = run(client)
    error = error_of(got, 502, "EFORMATTER")
    assert error["message"] == "The formatter 'response' failed: the job's output is not JSON"
    assert got.headers.get("X-Job-State") == "failure"


def test_a_bad_index_is_400_and_nothing_was_started(client: FlaskClient, theeye: StandIn) -> None:
    assert "must be an index" in error_of(run(client, "response=first"), 400, "EINVALID")["message"]
    assert not theeye.calls_of("create")


def test_response_is_not_passed_on_as_an_argument(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=['{"body":"x"}'])
    assert run(client, "response=0&a=1").data == b"x"
    assert theeye.calls_of("create")[-1].query == [("a", "1")]
