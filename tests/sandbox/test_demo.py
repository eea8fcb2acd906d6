"""`make run`: the commands that it prints answer as the seed shows, and it says what is in its way."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from support.processes import CHECKOUT, Process, RawResponse, clean_environment, need, read_response, wait_until
from support.sandbox import TEXT_418, check_live

from sandbox import TOKEN
from sandbox import demo as demo_module

SANDBOX_PORT, SERVICE_PORT = 6080, 6090


def need_free(*ports: int) -> None:
    """Skips where somebody else has a port, but not silently on CI."""
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            reason = f"port {port} is needed, but it is in use: {error.strerror}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)


class Demo(Process):
    """What `make run` runs."""

    def is_ready(self) -> bool:
        self._check_early_exit()
        return "Ctrl-C stops it." in self.log_text().partition("TheEye Sync is ready")[2]

    def sockets(self) -> list[str]:
        files = Path(f"/proc/{self.pid}/fd")
        return [str(each) for each in files.glob("*") if str(each.readlink()).startswith("socket:")]

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


@contextmanager
def demo(
    command: tuple[str, ...] = (sys.executable, "-m", "sandbox.demo"),
    folder: Path = CHECKOUT,
    seconds: float = 30,
    **env: str,
) -> Iterator[Demo]:
    running = Demo()
    children: list[int] = []
    try:
        running.launch(command, cwd=folder, env=clean_environment() | env)
        wait_until(lambda: running.is_ready() or "cannot listen" in running.log_text(), seconds, "make run")
        children = running.children()
        yield running
    finally:
        for pid in children:  # each has a session of its own: a demo that is killed leaves them behind
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        running.kill()
        running.close()


def type_in(command: str) -> RawResponse:
    """What a curl command prints."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=True)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(done.stdout)
        return read_response(theirs)


def check_seed(answers: list[RawResponse]) -> None:
    output, failed, parsed, teapot, result, full = answers
    statuses = [answer.status_line.removeprefix("HTTP/1.1 ") for answer in answers]
    failures = ("500 Internal Server Error", "418 I'm a Teapot")
    assert statuses == ["200 OK", failures[0], "200 OK", failures[1], "200 OK", "200 OK"]
    check_live(output.json()[0])
    assert (output.header("Content-Length"), parsed.header("Content-Length")) == ("62", "50")
    check_live(parsed.body.decode())
    assert failed.header("ETag") == 'W/"87-+Fzdxc2Q7NsFIfhclF3lcqgSScY"'
    assert (teapot.header("ETag"), teapot.body.decode()) == ('W/"73-FBmPIgGdDNzn6NM27joxlSUMWp4"', TEXT_418)
    assert result.body.startswith(b'{"code":0,')
    assert full.json()["lifecycle"] == "finished"
    assert {answer.header("Access-Control-Allow-Origin") for answer in answers} == {"*"}


def test_make_run_prints_commands_that_answer_as_the_seed_shows() -> None:
    need("curl", "curl")
    need_free(SANDBOX_PORT, SERVICE_PORT)
    with demo() as running:
        wait_until(running.is_ready, 30, "the commands")
        addresses = re.findall(r"http://\S*", running.log_text().partition("TheEye Sync is ready")[2])
        assert addresses[0].endswith("/console")
        commands = re.findall(r"^curl -i [^\n]*\\\n[^\n]*$", running.log_text(), re.MULTILINE)
        assert len(commands) == 7
        answers = [type_in(command.replace("curl -i", "curl -sSi --noproxy '*'")) for command in commands]
        page = answers.pop(4)
        assert (page.header("Content-Type") or "").startswith("text/html")
        check_seed(answers)
        assert not running.sockets(), "a connection that is kept would hold up the end"
        running.signal(signal.SIGINT)
        assert running.wait(10) == 0
        assert "Traceback" not in running.log_text()
        need_nobody(SANDBOX_PORT, SERVICE_PORT)


def need_nobody(*ports: int) -> None:
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 2).close()


@pytest.mark.parametrize("whose", ["the sandbox's port", "SYNC_BIND"])
def test_make_run_says_that_a_port_is_taken(whose: str) -> None:
    need_free(SANDBOX_PORT)
    with socket.create_server(("127.0.0.1", SANDBOX_PORT if whose != "SYNC_BIND" else 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with demo(**({"SYNC_BIND": bind} if whose == "SYNC_BIND" else {})) as running:
            assert running.wait(10) == 1
            said = running.log_text()
            assert said.startswith(f"make run: cannot listen on {bind} ({whose}): Address already in use")
            assert whose == "SYNC_BIND" or said.endswith("Is it running already?\n")
            assert whose == "SYNC_BIND" or said.count("\n") == 1
    need_nobody(SANDBOX_PORT)


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="installs everything anew: CI=true runs it")
def test_make_run_in_a_fresh_clone(tmp_path: Path) -> None:
    need_free(SANDBOX_PORT, SERVICE_PORT)
    subprocess.run(["git", "clone", "-q", str(CHECKOUT), str(tmp_path / "a clone")], check=True)
    command = ("make", "-s", f"PYTHON={sys.executable}", "run")
    with demo(command, tmp_path / "a clone", seconds=100) as running, requests.Session() as session:
        session.trust_env = False
        url = f"http://127.0.0.1:{SERVICE_PORT}/acme/task/61f3e937c38201da80f96c27/job?parse&access_token={TOKEN}"
        got = session.post(url, json={"task_arguments": [200]}, headers={"Connection": "close"}, timeout=30)
        assert got.status_code == 418
        os.killpg(running.pid, signal.SIGINT)  # as a terminal's Ctrl-C does
        running.wait(20)
        assert "Traceback" not in running.log_text()
        need_nobody(SANDBOX_PORT, SERVICE_PORT)


@pytest.mark.parametrize(
    ("bind", "reachable"), [(":7000", "127.0.0.1:7000"), ("0.0.0.0:7000", "127.0.0.1:7000"), ("h:1", "h:1")]
)
def test_the_examples_reach_a_service_on_all_addresses(bind: str, reachable: str) -> None:
    assert demo_module._reachable(bind) == reachable
