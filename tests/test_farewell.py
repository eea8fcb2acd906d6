"""A client that is refused before it has sent its whole body still gets the answer."""

import socket

import pytest
from support.processes import Service, read_response
from support.theeye import TASK, StandIn

BODY = 15 * 1024 * 1024


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_a_refusal_reaches_who_is_still_sending(theeye: StandIn, worker: str) -> None:
    env = {"SYNC_GATEWAY_URL": theeye.url, "SYNC_SUPERVISOR_URL": theeye.url}
    lines = [f"POST /acme/task/{TASK}/job HTTP/1.1", "Host: x", "Authorization: Bearer unknown", "Connection: close"]
    head = "\r\n".join([*lines, f"Content-Length: {BODY}", "", ""]).encode()
    with Service(env, worker=worker) as service:
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
                sock.sendall(head + bytes(BODY))
                with sock.makefile("rb") as stream:
                    assert read_response(stream).status == 401
    assert not theeye.calls_of("create")
