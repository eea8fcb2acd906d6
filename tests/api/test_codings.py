"""Test compressed bodies: which are read, which are refused, and that the coding does not change the request."""

import gzip
import json
import zlib
from collections.abc import Callable
from itertools import product

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.client import error_of, post
from support.processes import Redis
from support.theeye import StandIn

BODY = json.dumps({"task_arguments": ["señal"] * 200}).encode()
GZIP, ZLIB = gzip.compress(BODY, mtime=0), zlib.compress(BODY)
RAW = ZLIB[2:-4]
LIMIT = 300_000


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("gzip", GZIP),
        ("X-GZip", GZIP),
        ("identity, gzip ", GZIP),
        ("gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]) + bytes(5000)),
        ("deflate", ZLIB),
        ("deflate", ZLIB + b"x" + ZLIB),
        ("deflate", RAW),
        ("identity", BODY),
        ("", BODY),
    ],
    ids=["gzip", "x-gzip", "identity first", "two streams and zeros", "zlib", "zlib+", "raw", "identity", "none"],
)
def test_a_compressed_body_is_read(coding: str, sent: bytes, client: FlaskClient, theeye: StandIn) -> None:
    assert post(client, body=sent, Content_Encoding=coding).status_code == 200
    create = theeye.calls_of("create")[-1]
    assert (create.body, create.headers.get("content-encoding")) == (BODY, None)
    assert post(client, body=b"", Content_Encoding=coding).status_code == 200


BROKEN = [GZIP[:-1], GZIP[:9], GZIP[:-8] + bytes(8), GZIP + b"x", ZLIB[:-4], RAW[:-1], BODY]


@pytest.mark.parametrize(
    ("coding", "sent"),
    [*product(("gzip", "deflate"), BROKEN), ("deflate", GZIP), ("gzip", ZLIB), ("gzip", RAW)],
)
def test_a_broken_body_or_one_in_another_coding_is_400(
    coding: str, sent: bytes, client: FlaskClient, theeye: StandIn
) -> None:
    error_of(post(client, body=sent, Content_Encoding=coding), 400, "EINVALID")
    assert not theeye.calls_of("create")


@pytest.mark.settings(max_body=LIMIT)
def test_what_inflates_to_more_than_the_limit_is_413(client: FlaskClient) -> None:
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413), (LIMIT * 50, 413)):
        sent = gzip.compress(b"[" + b" " * (size - 2) + b"]")
        got = post(client, body=sent, Content_Encoding="gzip")
        assert got.status_code == status
    assert "decompression" in error_of(got, 413, "ETOOLARGE")["message"]


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "deflate, br", "gzip;q=1"])
def test_another_coding_is_415_and_told_what_is_read(coding: str, client: FlaskClient) -> None:
    refused = post(client, body=GZIP, Content_Encoding=coding)
    error_of(refused, 415, "EMEDIATYPE")
    assert refused.headers["Accept-Encoding"] == "gzip, deflate"
    assert "Accept-Encoding" not in post(client, body=b"x", Content_Type="text/plain").headers


def test_a_request_in_another_form_is_the_same_request(
    make_app: Callable[..., Flask], theeye: StandIn, redis_server: Redis
) -> None:
    client = make_app(redis_url=redis_server.url).test_client()
    part = '--{0}\r\nContent-Disposition: form-data; name="task_arguments"; filename="{0}"\r\n\r\nx\r\n--{0}--\r\n'
    sent = [(part.format(name).encode(), f"multipart/form-data; boundary={name}", "") for name in ("a1", "b22")]
    sent.append(
        (b"task_arguments=data%3Aapplication/octet-stream;base64,eA%3D%3D", "application/x-www-form-urlencoded", "")
    )
    sent.append((gzip.compress(sent[0][0]), sent[0][1], "gzip"))
    for number, (body, content_type, coding) in enumerate(sent):
        got = post(client, body=body, Content_Type=content_type, Content_Encoding=coding, Idempotency_Key="one")
        assert (got.status_code, "Idempotency-Replayed" in got.headers) == (200, number > 0)
    assert len(theeye.calls_of("create")) == 1
