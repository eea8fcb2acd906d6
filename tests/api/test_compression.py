"""Test compressed answers, and answers that the client already has."""

import gzip
import json
import random
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from support.client import ask, post
from support.processes import run_python
from support.theeye import JOB, StandIn
from werkzeug.test import TestResponse

from app.api import compression

LONG = "".join(random.Random(1).choices("abcdef\n", k=3000))
PAGE = {"statusCode": 201, "headers": {"Content-Type": "text/html"}, "body": LONG}


def unzipped(got: TestResponse) -> bytes:
    assert got.headers["Content-Encoding"] == "gzip"
    assert int(got.headers["Content-Length"]) == len(got.data) < 2500
    return gzip.decompress(got.data)


@pytest.mark.parametrize("accepted", ["gzip", "GZIP;q=0.5", "br, gzip, deflate", "*", "identity;q=0.5, gzip"])
def test_text_is_compressed_for_whom_accepts_it(accepted: str, client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=[LONG])
    plain, got = post(client), post(client, Accept_Encoding=accepted)
    assert unzipped(got) == plain.data
    assert [got.headers[name] for name in ("ETag", "Vary")] == [plain.headers["ETag"], "Accept-Encoding"]
    assert (plain.headers["Vary"], plain.headers.get("Content-Encoding")) == ("Accept-Encoding", None)
    job = f"{JOB}/{got.headers['X-Job-Id']}"
    head, later = (ask(client, method, job, Accept_Encoding=accepted, Origin="http://x") for method in ("HEAD", "GET"))
    assert (head.data, unzipped(later)) == (b"", plain.data)
    for name in ("Content-Length", "Content-Encoding", "ETag"):
        assert head.headers.getlist(name) == later.headers.getlist(name)
    assert later.headers.getlist("Vary") == ["Origin", "Accept-Encoding"]


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip;q=0, *", "identity, gzip;q=0.5", "deflate"])
def test_nobody_gets_what_it_does_not_accept(accepted: str, client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=[LONG])
    got = post(client, Accept_Encoding=accepted)
    assert json.loads(got.data) == [LONG]
    assert got.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("document", "query", "compressed"),
    [
        ({"output": ["x" * 1020]}, "", False),
        ({"output": ["x" * 1021]}, "", True),
        ({"output": ["x" * 5000], "state": "failure"}, "", True),
        ({"output": [json.dumps(PAGE)]}, "?response", True),
        ({"output": [json.dumps(PAGE | {"headers": {"Content-Type": "image/png"}})]}, "?response", False),
        ({"output": [json.dumps(PAGE | {"headers": {"Content-Type": "image/svg+xml"}})]}, "?response", True),
        ({"output": [json.dumps(PAGE | {"statusCode": 204})]}, "?response", False),
    ],
)
def test_what_is_compressed(
    document: dict[str, Any], query: str, compressed: bool, client: FlaskClient, theeye: StandIn
) -> None:
    theeye.task(**document)
    got = post(client, JOB + query, Accept_Encoding="gzip")
    assert got.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    assert got.headers.get("Vary") == ("Accept-Encoding" if compressed else None)


def test_streams_and_what_is_encoded_already_stay_as_they_are(app: Flask, client: FlaskClient, theeye: StandIn) -> None:
    encoded = Response(LONG, headers={"Content-Encoding": "br"}, mimetype="text/plain")
    app.add_url_rule("/own", view_func=lambda: encoded)
    theeye.task(output=[LONG])
    for got in (
        ask(client, "GET", "/own", Accept_Encoding="gzip"),
        post(client, Accept="text/event-stream", Accept_Encoding="gzip"),
    ):
        assert LONG[:6] in got.text
        assert got.headers.get("Vary") is None


def test_a_file_is_compressed_too_but_no_part_of_it(client: FlaskClient) -> None:
    with ExitStack() as stack:

        def get(**headers: str) -> TestResponse:
            return stack.enter_context(ask(client, "GET", "/console/arguments.js", **headers))

        plain, got = get(), get(Accept_Encoding="gzip")
        assert (unzipped(got), got.headers["ETag"]) == (plain.data, f"W/{plain.headers['ETag']}")
        part = get(Accept_Encoding="gzip", Range="bytes=0-1999")
        assert (part.status_code, part.data) == (206, plain.data[:2000])
        for known in ({"If_None_Match": got.headers["ETag"]}, {"If_Modified_Since": got.headers["Last-Modified"]}):
            unsent = get(**known)
            assert (unsent.status, unsent.data, unsent.headers["Vary"]) == ("304 Not Modified", b"", "Accept-Encoding")
            assert "Content-Length" not in unsent.headers


def test_other_requests_go_on_while_a_large_answer_is_compressed_under_gevent() -> None:
    program = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import gevent, zlib\n"
        "from app.api import compression\n"
        "seen = []\n"
        "gevent.spawn(seen.append, 'another')\n"
        "for size, others in ((compression.LARGE, []), (compression.LARGE + 1, ['another'])):\n"
        "    assert zlib.decompress(compression._compressed(bytes(size)), wbits=31) == bytes(size)\n"
        "    assert seen == others\n"
    )
    run_python("-c", program)
    assert gzip.decompress(compression._compressed(bytes(compression.LARGE + 1))) == bytes(compression.LARGE + 1)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("known", ["{}", 'W/"other", {}', "*", '"strong", {}', "{strong}"])
def test_a_client_is_not_sent_what_it_has(known: str, method: str, client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=[LONG], result={"code": 0})
    ran = post(client)
    tag, job = ran.headers["ETag"], f"{JOB}/{ran.headers['X-Job-Id']}"
    known = known.format(tag, strong=tag.removeprefix("W/"))
    got = ask(client, method, job, If_None_Match=known, Accept_Encoding="gzip")
    assert (got.status, got.data) == ("304 Not Modified", b"")
    sent = ask(client, method, job, If_None_Match='W/"other"', Accept_Encoding="gzip")
    assert sent.status_code == 200
    body_only = {"Content-Type", "Content-Length", "Content-Encoding"}
    changing = {"X-Request-Id", "Server-Timing"}
    names = {name for name, _ in sent.headers} - body_only
    assert {name for name, _ in got.headers} == names >= {"ETag", "Vary", "Cache-Control", "X-Job-Id", "X-Job-State"}
    assert all(got.headers.getlist(name) == sent.headers.getlist(name) for name in names - changing)


def test_only_a_success_that_would_be_200_is_304(client: FlaskClient, theeye: StandIn) -> None:
    outcomes = [
        ({"output": ['{"a":1}']}, "", 304),
        ({"output": ['{"a":1,"statusCode":201}']}, "?parse", 201),
        ({"output": ['{"a":1}'], "state": "failure"}, "", 500),
        ({"output": ['{"a":1,"statusCode":200}'], "state": "failure"}, "?parse", 200),
        ({"output": ['{"a":1}'], "lifecycle": "terminated", "state": "timeout"}, "?full", 500),
        ({"delay": None}, "?wait=0", 202),
    ]
    for document, query, status in outcomes:
        theeye.task(**document)
        ran = post(client, JOB + query, If_None_Match="*")
        assert ran.status_code == {304: 200, 202: 504}.get(status, status), "a POST has no 304"
        got = ask(client, "GET", f"{JOB}/{ran.headers['X-Job-Id']}{query}", If_None_Match="*")
        assert got.status_code == status
    assert ask(client, "GET", "/nowhere", If_None_Match="*").status_code == 404
    assert ask(client, "GET", "/openapi.json", If_None_Match="*").status_code == 304
