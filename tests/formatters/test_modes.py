"""Test the built-in modes: the recorded answers of the original, and any other job."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_values import values

from app.api.formatting import render
from app.api.query import Query
from formatters import Context, Registry
from formatters.jsontext import loads_body, loads_document
from formatters.testing import golden_jobs, run

GOLDEN = golden_jobs()
REGISTRY = Registry()


def answer(job: dict[str, Any], query: str = "") -> tuple[int, bytes]:
    """Return status and body, made by the same steps as for a request."""
    asked = Query(query)
    formatter = REGISTRY.choose(asked.first)
    response = render(formatter, Context(job, asked.first), [])
    return response.status_code, response.data


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_answers_as_the_original_did(case: dict[str, Any]) -> None:
    status, body = answer(case["job"], case["query"])
    assert status == case["status"]
    if "body_is" in case:
        assert json.loads(body) == case["job"]
    elif case["body"] == "":
        assert body == b""
    else:
        assert json.loads(body) == json.loads(case["body"])
        assert repr(json.loads(body)) == repr(json.loads(case["body"])), "the order and the kinds of numbers too"
        assert "differs" in case or body == case["body"].encode("utf-8", "backslashreplace"), "compact"


JOB = {"state": "failure", "output": ['{"a":1,"statusCode":404}', "x"], "result": {"code": 1}}


def test_built_in_output() -> None:
    answer = run(Registry()["output"], JOB)
    assert (answer.status, answer.json()) == (500, JOB["output"])


def test_built_in_parse() -> None:
    answer = run(Registry()["parse"], JOB, "parse")
    assert (answer.status, answer.json()) == (404, {"a": 1, "statusCode": 404})


def test_built_in_result() -> None:
    answer = run(Registry()["result"], JOB, "result")
    assert (answer.status, answer.json()) == (500, {"code": 1})


def test_built_in_response() -> None:
    page = '{"body":"<p>","headers":{"Content-Type":"text/html"}}'
    answer = run(Registry()["response"], {"output": [page]}, "response")
    assert (answer.status, answer.content_type, answer.text) == (200, "text/html; charset=utf-8", "<p>")


def test_built_in_full() -> None:
    answer = run(Registry()["full"], JOB, "full")
    assert answer.status == 500
    assert answer.json()["result"] == {"code": 1}
    assert answer.json()["lifecycle"] == "finished"


printed = (
    st.text() | values.map(lambda value: json.dumps(value)) | st.sampled_from(["[" * 100_000, "1e999", "9" * 5000])
)


outputs = st.lists(printed | values, max_size=4) | values


states = st.sampled_from(["success", "failure", "canceled", "timeout"]) | st.text() | st.none()


jobs = st.fixed_dictionaries(
    {"id": st.just("j1")},
    optional={"output": outputs, "state": states, "result": values, "lifecycle": st.text(), "extra": values},
)


queries = st.sampled_from(
    ["", "result", "full", "parse", "parse=0", "parse=1", "parse=-1", "parse=9999999999"]
) | st.text(st.characters(max_codepoint=255))


@given(job=jobs, query=queries)
def test_any_job_gets_a_legal_status_and_valid_json(job: dict[str, Any], query: str) -> None:
    document = loads_document(json.dumps(job).encode())  # as it comes from TheEye: NaN is JSON to neither
    status, body = answer(document, query)
    assert 200 <= status <= 599
    if status in (204, 205, 304):
        assert body == b""
    else:
        loads_body(body)


@pytest.mark.parametrize(
    ("output", "query", "body"),
    [
        ([7], "parse", b"7"),
        ([1.0, -0.5], "parse=1", b"-0.5"),
        ([True], "parse", b"true"),
        (["x", False], "parse=1", b"false"),
        ([None], "parse=0", b"null"),
        ([10**30], "parse", b"1" + b"0" * 30),
        ([{"a": 1}], "parse", b'[{"a":1}]'),
        ([[1]], "parse", b"[[1]]"),
        ([7], "parse=1", b"[7]"),
        (7, "parse", b"7"),
        *((["1", "2", "3"], f"parse=1&parse={index}", b'["1","2","3"]') for index in (2, 1)),
        (["1", "2"], "parse=1&a=1&a=2", b"2"),
    ],
)
def test_parse_of_what_is_no_string_and_of_no_index(output: Any, query: str, body: bytes) -> None:
    for state, status in (("success", 200), ("failure", 500)):
        answer = run(Registry()["parse"], {"state": state, "output": output}, query)
        assert (answer.status, answer.body) == (status, body)
