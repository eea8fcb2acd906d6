"""Test the headers of answers: ETag, those about the job, CORS."""

import base64
import hashlib

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.client import post
from support.health import when_known
from support.theeye import JOB, StandIn

from app.api.responses import error_response, etag
from app.errors import SyncError
from app.theeye.jobs import Job


def test_etag_is_the_originals() -> None:
    digest = base64.b64encode(hashlib.sha1(b"[]").digest()).decode()
    assert etag(b"[]") == f'W/"2-{digest[:27]}"'


def test_the_job_stands_in_the_headers(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(state="se\xf1al\r\nX: %1 " + "a" * 200, lifecycle="terminated")
    got = post(client)
    assert (got.status_code, got.headers["X-Job-Lifecycle"]) == (500, "terminated")
    assert got.headers["X-Job-Id"] in theeye.jobs
    state = got.headers["X-Job-State"]
    assert state.startswith("se%C3%B1al%0D%0AX:%20%251%20aaa")
    assert len(state) <= 100


def test_an_origin_is_reflected_with_our_headers_exposed(client: FlaskClient, theeye: StandIn) -> None:
    got = post(client, Origin="https://app.example")
    assert got.headers.get("Access-Control-Allow-Origin") == "https://app.example"
    assert got.headers.get("Vary") == "Origin"
    assert "X-Job-Id" in (got.headers.get("Access-Control-Expose-Headers") or "")


def test_204_carries_no_body(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=['{"statusCode":204}'])
    got = post(client, JOB + "?parse")
    assert (got.status_code, got.data) == (204, b"")
    assert not {"Content-Length", "ETag"} & set(got.headers.keys())


def test_health_needs_no_token_and_is_not_stored(client: FlaskClient) -> None:
    when_known(lambda: client.get("/readyz").get_json())
    for path in ("/healthz", "/readyz", "/api/status"):
        got = client.get(path)
        assert got.status_code == 200, got.text
        assert got.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "job", "told"), [("POST", None, "30"), ("POST", Job("1"), None), ("GET", Job("1"), "30")]
)
def test_a_started_job_is_no_reason_to_repeat_the_post(method: str, job: Job | None, told: str | None) -> None:
    """A proxy's Retry-After for a look (at a joined job, for example) is not for the create; for a GET it is."""
    with Flask(__name__).test_request_context(method=method):
        got = error_response(SyncError("too busy", status=503, job=job, retry_after="30"))
    assert got.headers.get("Retry-After") == told
