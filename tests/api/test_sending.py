"""Test answers that are sent in pieces, and what they hold until the client has them."""

from __future__ import annotations

import json
import socket

import pytest
from flask import Flask
from flask.testing import FlaskClient
from support.client import error_of, post
from support.theeye import StandIn
from support.world import World
from werkzeug import Response

from app import Services
from app.api.sending import PIECE, PIECE_SECONDS, SECONDS_WITHOUT_SLOT, SLOW_WITHOUT_SLOT, Held


def test_a_large_answer_goes_out_in_pieces(client: FlaskClient, theeye: StandIn) -> None:
    theeye.task(output=["x" * (2 * PIECE)])
    got = post(client)
    pieces = list(got.iter_encoded())
    assert [len(piece) for piece in pieces] == [PIECE, PIECE, len('["' + '"]')]
    assert got.headers["Content-Length"] == str(2 * PIECE + 4)
    assert json.loads(b"".join(pieces)) == ["x" * (2 * PIECE)]


@pytest.mark.settings(max_waiting=1)
def test_a_slot_is_held_until_the_answer_is_sent(app: Flask, services: Services, theeye: StandIn) -> None:
    theeye.task(output=["x" * PIECE])
    reading, other = app.test_client(), app.test_client()
    for free in (Response.get_data, Response.close):
        got = post(reading)
        error_of(post(other), 503, "EBUSY")
        free(got)
        assert services.request_slots.in_use == 0
    theeye.task(output=["x" * (PIECE - 4)])
    assert [post(other).status_code, services.request_slots.in_use] == [200, 0], "a small one holds none"


@pytest.mark.settings(max_waiting=1)
def test_an_answer_that_a_hook_spoils_holds_nothing(app: Flask, services: Services) -> None:
    @app.after_request
    def fail(response: object) -> None:
        raise RuntimeError("a hook")

    assert post(app.test_client()).get_json()["code"] == "EINTERNAL"
    assert services.request_slots.in_use == 0


@pytest.mark.settings(max_answer_bytes=1000)
def test_answers_that_are_read_slowly_are_bounded(world: World, services: Services) -> None:
    with world.parked() as ([job_id], [late]):
        world.theeye.task(output=["x" * PIECE])
        slow = world.post()
        creates = len(world.theeye.calls_of("create"))
        assert "nothing was started" in error_of(world.post(), 503, "EBUSY")["message"]
        assert len(world.theeye.calls_of("create")) == creates
        world.theeye.finish(job_id, output=["late"])
        told = error_of(late.result(20), 504, "ETIMEISUP")
        assert told["job"] == {"id": job_id, "lifecycle": "finished", "state": "success"}
        slow.close()
    assert world.get(told["result_url"].rpartition("/")[2]).get_json() == ["late"]


def test_few_answers_without_a_slot_may_be_taken_slowly(app: Flask) -> None:
    ours, _theirs = socket.socketpair()
    with ours, _theirs:
        environ = {"gunicorn.socket": ours}
        slow = [app.test_client().get("/healthz", environ_overrides=environ) for _ in range(SLOW_WITHOUT_SLOT)]
        assert ours.gettimeout() == PIECE_SECONDS
        with app.test_client().get("/healthz", environ_overrides=environ):
            assert ours.gettimeout() == SECONDS_WITHOUT_SLOT
        assert ours.gettimeout() is None, "as it was"
        slow[0].close()
        app.test_client().get("/healthz", environ_overrides=environ)
        assert ours.gettimeout() == PIECE_SECONDS


def test_what_an_answer_holds_is_freed_also_if_a_part_of_it_cannot_be() -> None:
    held, freed = Held(), list[str]()
    held.add(freed.append, "first")
    held.add(divmod, 1, 0)
    held.add(freed.append, "last")
    with pytest.raises(ZeroDivisionError):
        held.close()
    assert freed == ["last", "first"]
