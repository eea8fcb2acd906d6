"""The stand-in on the network: connections, restarts, and being frozen."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from support.caller import Caller, ask, raw_get
from support.processes import (
    free_port,
    read_response,
)
from support.theeye import (
    Silence,
    StandIn,
)

# -- the network -------------------------------------------------------------------------------------


def test_a_client_may_ask_for_the_end_of_the_connection(theeye: StandIn, caller: Caller) -> None:
    for _ in range(2):
        assert caller.profile(headers={"Connection": "close"}).headers["Connection"] == "close"
    assert [call.connection for call in theeye.calls] == [1, 2]


def test_six_hundred_connections_at_once(theeye: StandIn) -> None:
    with ExitStack() as stack:
        address = ("127.0.0.1", theeye.port)
        socks = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(600)]
        theeye.freeze()
        for sock in socks:
            sock.sendall(raw_get(theeye))
        theeye.wait_for_calls("profile", 600)
        assert theeye.open_connections == 600
        theeye.thaw()
        for sock in socks:
            with sock.makefile("rb") as stream:
                assert read_response(stream).status == 200


def test_restart_on_the_same_port(theeye: StandIn, caller: Caller) -> None:
    job_id = caller.create().json()["id"]
    port = theeye.port
    theeye.stop()
    assert theeye.open_connections == 0
    with pytest.raises(requests.ConnectionError):
        caller.read(job_id)
    theeye.start()
    assert theeye.port == port
    assert caller.read(job_id).json()["lifecycle"] == "finished"


def test_a_stop_breaks_what_is_under_way(theeye: StandIn) -> None:
    theeye.fault("profile", Silence())
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, theeye)
        theeye.wait_for_calls("profile", 1)
        theeye.stop()
        with pytest.raises(ConnectionError):
            answer.result(20)


def test_a_frozen_one_accepts_but_does_and_answers_nothing(theeye: StandIn, caller: Caller) -> None:
    theeye.freeze()
    with pytest.raises(requests.ReadTimeout):
        caller.create(timeout=0.1)
    assert theeye.jobs == {}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, theeye)
        theeye.wait_for_calls("profile", 1)
        assert not answer.done()
        theeye.thaw()
        assert answer.result(20).status == 200
    theeye.wait_for_jobs(1)  # the create was in its queue


def test_idle_connections_are_dropped_and_no_others(theeye: StandIn, caller: Caller) -> None:
    with socket.create_connection(("127.0.0.1", theeye.port), 5) as idle:
        idle.sendall(raw_get(theeye))
        with idle.makefile("rb") as stream:
            read_response(stream)
            theeye.fault("create", Silence(0.2))
            with ThreadPoolExecutor(1) as pool:
                busy = pool.submit(caller.create)
                theeye.wait_for_calls("create", 1)
                assert theeye.drop_idle() == 1
                assert stream.read() == b""
                assert not busy.done()
                with pytest.raises(requests.ConnectionError):
                    busy.result(20)


def test_a_stand_in_on_a_given_port() -> None:
    port = free_port()
    with StandIn(port=port) as theeye:
        assert (theeye.port, theeye.url) == (port, f"http://127.0.0.1:{port}")
