"""Test the reading of a body: its limits of size and time."""

import gzip
import socket

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import JOB, Reply, StandIn

from app.services import Services
from app.waiter.bodies import LARGEST, SMALL
from app.waiter.ticker import Ticker

LARGE = b"[" + b" " * SMALL + b"1]"


@pytest.mark.settings(max_body=300_000)
def test_a_body_above_the_limit_is_413(client: FlaskClient) -> None:
    error_of(post(client, body=b"[" + b" " * 300_000 + b"]"), 413, "ETOOLARGE")
    assert post(client, body=b"[" + b" " * 299_990 + b"]").status_code == 200


@pytest.mark.settings(max_body=2 * SMALL)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_large_body_is_counted_until_its_job_is_created(
    coding: str, client: FlaskClient, theeye: StandIn, services: Services
) -> None:
    counted: list[int] = []
    for kind in ("create", "read"):
        theeye.fault(kind, Reply(500, {}), when=lambda _: bool(counted.append(services.bodies._bytes)))
    sent = gzip.compress(LARGE) if coding else LARGE
    assert post(client, body=sent, Content_Encoding=coding).status_code == 200
    assert (counted[:2], services.bodies._bytes) == ([len(LARGE), 0], 0)


@pytest.mark.settings(max_body=2 * SMALL)
def test_too_many_large_bodies_are_503(client: FlaskClient, theeye: StandIn, services: Services) -> None:
    services.bodies.change(LARGEST * 2 * SMALL - SMALL)
    error_of(post(client, body=LARGE), 503, "EBUSY")
    assert theeye.calls_of("create") == []
    assert post(client, body=b"[" + b" " * (SMALL - 2) + b"]").status_code == 200
    services.bodies.change(-SMALL)
    assert post(client, body=LARGE).status_code == 200


def test_a_bug_while_a_body_is_watched_is_not_the_clients(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ticker: Ticker) -> None:
        if ticker._name == "theeye-sync-bodies":
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Ticker, "ensure_running", refuse)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        headers = {"Authorization": "Bearer tok-acme"}
        got = client.post(JOB, headers=headers, data=b"[1]", environ_overrides={"gunicorn.socket": ours})
    error_of(got, 500, "EINTERNAL")
