"""Test crashed scripts, which TheEye reports as a success: the exit code is shown, and `strict` makes it a 500."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.client import ask, error_of, post
from support.theeye import JOB, StandIn

from app.api.query import Query
from app.api.strict import is_strict

FINE = {"code": 0, "lastline": '{"a":1}'}


@pytest.mark.parametrize(
    ("result", "exit_code", "status"),
    [
        (FINE, "0", 200),
        ({"code": 1, "lastline": "[]"}, "1", 500),
        ({"code": -9}, "-9", 500),
        ({"code": 3221225477, "lastline": "{}"}, "3221225477", 500),
        *(({"code": 0, "lastline": line}, "0", 500) for line in ("Traceback (most recent call last):", "", "NaN")),
        ({"code": 0, "lastline": "1e999"}, "0", 200),  # JSON to JavaScript, and so to the agent
        ({"code": 0, "lastline": '"' + "9" * 70_000 + '"'}, "0", 200),
        *(({"code": code, "lastline": "1"}, None, 200) for code in (True, 1.5, "1")),
        ({"code": None, "lastline": None}, None, 200),
        *((result, None, 200) for result in ({"user": {}, "output": "x"}, {}, None, "crashed")),
    ],
)
def test_the_exit_code_is_told_and_strict_makes_it_the_status(
    result: Any, exit_code: str | None, status: int, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.task(output=['{"a":1}'], result=result)
    got = post(client, Origin="https://a.example")
    assert (got.status_code, got.headers.get("X-Job-Exit-Code")) == (200, exit_code)
    assert {"X-Job-Exit-Code", "Link"} <= set(got.headers["Access-Control-Expose-Headers"].split(", "))
    for mode in ("", "&parse", "&full", "&result"):
        job_id = got.headers["X-Job-Id"]
        for strict in (post(client, f"{JOB}?strict{mode}"), ask(client, "GET", f"{JOB}/{job_id}?strict{mode}")):
            assert (strict.status_code, strict.headers["X-Job-State"]) == (status, "success")
    assert "strict" not in "".join(call.target for call in theeye.calls)


@pytest.mark.parametrize(
    ("own", "status"), [(200, 500), (204, 500), (399, 500), (400, 400), (503, 503), ("418", 418), (None, 500)]
)
@pytest.mark.parametrize("mode", ["parse", "response"])
def test_a_refusal_of_the_jobs_stays(mode: str, own: Any, status: int, client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=[json.dumps({"body": "x", "statusCode": own})], result={"code": 1})
    assert post(client, f"{JOB}?strict&{mode}").status_code == status


@pytest.mark.parametrize(("output", "status"), [(["no"], 500), ([], 500), (["[" + "[]," * 1_000_000 + "[]]"], 502)])
def test_a_crash_without_an_answer_is_500(output: list[str], status: int, client: FlaskClient, theeye: StandIn) -> None:
    """An answer that costs too much to read is not replaced by the raw output."""
    theeye.task(output=output, result={"code": 1})
    got = post(client, f"{JOB}?strict&response")
    assert got.status_code == status
    assert (got.json == output) is (status == 500)
    assert ("Link" in got.headers) is (output == [])


def test_errors_and_a_refused_cancel_tell_the_exit_code_too(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=["no"], result={"code": 3})
    failed = post(client, f"{JOB}?response")
    error_of(failed, 502, "EFORMATTER")
    ended = ask(client, "DELETE", f"{JOB}/{failed.headers['X-Job-Id']}")
    error_of(ended, 409, "EJOBENDED")
    assert failed.headers["X-Job-Exit-Code"] == ended.headers["X-Job-Exit-Code"] == "3"


def test_a_last_line_that_costs_too_much_is_told_as_such(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=["x"], result={"code": 0, "lastline": f"[{'[],' * 400_000}[]]"})
    error = error_of(post(client, f"{JOB}?strict"), 502, "EFORMATTER")
    assert error["message"].startswith("`strict` cannot check the last line of the job's output: the JSON has too many")
    assert error["job"]["lifecycle"] == "finished"
    assert post(client).status_code == 200


@pytest.mark.parametrize(
    ("query", "usual", "strict"),
    [
        ("", False, False),
        ("", True, True),
        *(("strict" + value, False, True) for value in ("", "=", "=1", "=true", "=yes", "=on", "=00", "=1&strict=0")),
        *(("strict" + value, True, False) for value in ("=0", "=false", "=FALSE", "=no", "=Off", "=+0", "=0&strict=1")),
        ("Strict", False, False),
    ],
)
def test_presence_counts_but_for_a_no(query: str, usual: bool, strict: bool) -> None:
    assert is_strict(Query(query), usual) is strict


@pytest.mark.settings(strict=True)
def test_the_setting_is_for_all_and_a_request_can_turn_it_off(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=["x"], result={"code": 1})
    for query, status in (("", 500), ("?strict", 500), ("?strict=0", 200), ("?parse&strict=off", 200)):
        assert post(client, JOB + query).status_code == status


@pytest.mark.settings(strict=True)
def test_it_is_about_the_answer_of_an_ended_job_only(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(delay=None, result={"code": 1})
    job_id = post(client, f"{JOB}?strict", Prefer="respond-async").headers["X-Job-Id"]
    for method, query, status in (("GET", "wait=0", 202), ("DELETE", "strict", 204), ("DELETE", "strict=0", 409)):
        assert ask(client, method, f"{JOB}/{job_id}?{query}").status_code == status


def test_it_stands_where_the_answer_will_be(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(delay=None)
    got = post(client, f"{JOB}?a=1&strict=1&parse&wait=0")
    assert got.headers["Location"].endswith("?strict=1&parse")
    assert error_of(got, 504, "ETIMEISUP")["result_url"] == got.headers["Location"]


@pytest.mark.parametrize(
    ("output", "job", "query", "link"),
    [
        ([], {"state": "failure"}, "", True),
        (None, {"state": "failure"}, "?parse", True),
        (["null"], {"state": "failure"}, "?parse", True),
        ([], {"result": {"code": 1}}, "", True),
        ([], {"result": {"code": 0, "lastline": "no"}}, "?strict", True),
        ([], {"result": FINE}, "", False),
        (["x"], {"state": "failure"}, "", False),
        ([], {"state": "failure", "result": None}, "?result", False),
    ],
)
def test_an_empty_body_of_a_failed_job_points_to_its_result(
    output: Any, job: dict[str, Any], query: str, link: bool, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.task(output=output, **job)
    got = post(client, JOB + query)
    wanted = f'<{JOB}/{got.headers["X-Job-Id"]}?result>; rel="describedby"' if link else None
    assert got.headers.get("Link") == wanted
