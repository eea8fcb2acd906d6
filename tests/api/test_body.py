"""Receiving a body: its limit of size, and the thread that watches its time."""

import socket

import pytest
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import JOB

from app.waiter.ticker import Ticker


@pytest.mark.settings(max_body=300_000)
def test_a_body_above_the_limit_is_413(client: FlaskClient) -> None:
    error_of(post(client, body=b"[" + b" " * 300_000 + b"]"), 413, "ETOOLARGE")
    assert post(client, body=b"[" + b" " * 299_990 + b"]").status_code == 200


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
