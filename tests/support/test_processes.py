"""Test the processes of the tests, and raw requests."""

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from support import processes
from support.caller import NO_JOB, ask, listening
from support.proc import group_pids
from support.processes import Redis, Service, raw_request, wait_until
from support.theeye import StandIn, Verbatim

# -- the processes -----------------------------------------------------------------------------------


def test_redis_restarts_on_its_port_and_publishing_survives_it() -> None:
    with Redis(password="pässword") as server, StandIn(redis_url=server.url) as theeye:
        with closing(socket.create_connection(("127.0.0.1", server.port), 5)) as sock:
            sock.sendall(b"PING\r\n")
            assert sock.recv(64).startswith(b"-NOAUTH")
        port, pid = server.port, server.pid
        assert theeye.publish(NO_JOB) == 0
        server.kill()
        assert theeye.publish(NO_JOB) == 0
        server.start()
        assert (server.port, server.pid != pid) == (port, True)
        with listening(server) as next_message:
            assert theeye.publish(NO_JOB) == 1
            assert next_message() is not None
        server.stop()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
            pass


def test_redis_freezes_and_thaws() -> None:
    with Redis() as server, closing(socket.create_connection(("127.0.0.1", server.port), 0.1)) as sock:
        server.freeze()
        sock.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            sock.recv(64)
        server.thaw()
        sock.settimeout(5)
        assert sock.recv(64) == b"+PONG\r\n"
        server.freeze()  # a frozen one can be stopped, too


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert processes.whole_lines(log) == ""
    log.write_text('{"one": 1}\n{"tw')
    assert processes.whole_lines(log) == '{"one": 1}\n'
    process = processes.Process()
    process.launch(["printf", "all of it"])
    process.wait()
    assert process.log_text() == "all of it"
    process.close()


def test_a_process_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(processes, "free_port", lambda: taken.getsockname()[1])
        with pytest.raises(AssertionError, match="Failed listening on port"), Redis():
            pass


def test_a_process_that_does_not_stop_is_killed_and_fails_the_test() -> None:
    process = processes.Process()
    process.stop_timeout = 0.2
    process.launch(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"])
    wait_until(lambda: process.log_text() == "up\n", 20, "the shell")
    pid = process.pid
    with pytest.raises(AssertionError, match="still runs after"):
        process.close()
    wait_until(lambda: not group_pids(pid), 20, "the kill")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt-get install redis-server"):
        processes.need("no-such-program", "redis-server")


def test_the_service_starts_in_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SYNC_WAIT_SECONDS", "PYTHONWARNINGS", "GUNICORN_CMD_ARGS"):
        monkeypatch.setenv(name, "error")
    environment = processes.clean_environment()
    assert (environment["PATH"], environment["PYTHONUNBUFFERED"]) == (os.environ["PATH"], "1")
    assert not [name for name, value in environment.items() if value == "error"]


@pytest.mark.parametrize("worker", ["gevent", "gthread"])
def test_the_service_starts_and_stops_whole_or_shows_its_log(worker: str) -> None:
    with Service(worker=worker, workers=2) as service:
        assert len(service.worker_pids()) == 2
        assert service.ask("GET", "/healthz").status == 200
        assert "Listening at" in service.log_text()
        pid = service.pid
        service.terminate()
        assert service.wait() == 0
    assert group_pids(pid) == []
    with pytest.raises(AssertionError, match="unrecognized arguments: --nonsense"), Service(args=["--nonsense"]):
        pass


# -- raw requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "body", "complete"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", b"ok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", b"ok", False),
    ],
)
def test_raw_responses(theeye: StandIn, data: bytes, body: bytes, complete: bool) -> None:
    theeye.fault("any", Verbatim(data))
    response = ask(theeye)
    assert (response.body, response.complete) == (body, complete)
    assert response.status_line.startswith("HTTP/1.1 20")


def test_raw_requests_go_out_as_they_are(theeye: StandIn) -> None:
    response = raw_request("127.0.0.1", theeye.port, b"GET //a/%2e%2e/\xc3\xb1?x=%zz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.status_line == "HTTP/1.1 404 Not Found"
    assert response.header("content-type") == "application/json; charset=utf-8"
    assert theeye.calls[0].target == "//a/%2e%2e/\u00c3\u00b1?x=%zz"
