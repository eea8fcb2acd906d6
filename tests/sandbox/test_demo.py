"""Test `make run`: its printed commands answer as the seed shows, and it reports problems."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from support.examples import EXAMPLES, Runner, compare, examples
from support.processes import CHECKOUT, Process, RawResponse, clean_environment, need, read_response, wait_until
from support.sandbox import ID, TEXT_418, check_live

from sandbox import TOKEN
from sandbox import demo as demo_module
from sandbox.examples import ready_text
from sandbox.loading import Recipes
from sandbox.programs import Programs, Stopped
from sandbox.recipes import Task

SANDBOX_PORT, SERVICE_PORT = 6080, 6090


def need_free(*ports: int) -> None:
    """Skip the test if another process uses a port; on CI fail."""
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            reason = f"port {port} is needed, but it is in use: {error.strerror}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)


class Demo(Process):
    """Run what `make run` runs."""

    def is_ready(self) -> bool:
        self._check_early_exit()
        return "Ctrl-C stops" in self.log_text().partition("TheEye Sync is ready")[2]

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
    seconds: float = 90,
    starts: bool = True,
    **env: str,
) -> Iterator[Demo]:
    running = Demo()
    children: list[int] = []
    try:
        running.launch(command, cwd=folder, env=clean_environment() | {"PORT": "1", "SYNC_CONTAINER": "1"} | env)
        if starts:
            wait_until(running.is_ready, seconds, "make run")
            children = running.children()
        yield running
    finally:
        for pid in children or running.children():  # a demo that is killed leaves them behind
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        running.kill()
        running.close()


def type_in(command: str) -> RawResponse:
    """Run a curl command and return its output."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=True)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(done.stdout)
        return read_response(theirs)


def check_seed(answers: list[RawResponse]) -> None:
    parsed, teapot, output, failed, workflow = answers
    statuses = [answer.status_line.removeprefix("HTTP/1.1 ") for answer in answers]
    assert statuses == ["200 OK", "418 I'm a Teapot", "200 OK", "500 Internal Server Error", "200 OK"]
    assert workflow.json() == {"order": 7, "total": 104}
    check_live(output.json()[0])
    assert (output.header("Content-Length"), parsed.header("Content-Length")) == ("62", "50")
    check_live(parsed.body.decode())
    assert failed.header("ETag") == 'W/"87-+Fzdxc2Q7NsFIfhclF3lcqgSScY"'
    assert (teapot.header("ETag"), teapot.body.decode()) == ('W/"73-FBmPIgGdDNzn6NM27joxlSUMWp4"', TEXT_418)
    assert {answer.header("Access-Control-Allow-Origin") for answer in answers} == {"*"}


def test_make_run_prints_commands_that_answer_as_the_seed_shows(tmp_path: Path) -> None:
    """This uses a Redis of its own, and a task and a workflow of the user."""
    need("curl", "curl")
    need("redis-server", "redis-server")
    need_free(SANDBOX_PORT, SERVICE_PORT)
    write_task(tmp_path)
    with demo((sys.executable, "-m", "sandbox.demo", "--tasks", str(tmp_path))) as running:
        ready = running.log_text().partition("TheEye Sync is ready")[2]
        assert re.findall(r"http://[^\s']*", ready)[0].endswith("/console")
        commands = re.findall(r"^curl -i [^\n]*\\\n[^\n]*$", ready, re.MULTILINE)
        assert len(commands) == 7
        key = "curl -sSi --noproxy '*' --header 'idempotency-key: {}'"
        answers = [type_in(command.replace("curl -i", key.format(i))) for i, command in enumerate(commands)]
        assert [answers.pop().json() for _ in range(2)] == [{"args": ["it's", ""]}] * 2
        check_seed(answers)
        again = type_in(commands[0].replace("curl -i", key.format(0)))
        assert again.header("X-Job-Id") == answers[0].header("X-Job-Id"), "keys need a Redis"
        assert not running.sockets(), "a connection that is kept would hold up the end"
        started = running.children()
        running.signal(signal.SIGINT)
        assert running.wait() == 0
        assert "Traceback" not in running.log_text()
        need_nobody(SANDBOX_PORT, SERVICE_PORT)
        assert len(started) == 3
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_commands_of_a_page_answer_as_it_says(page: str, tmp_path: Path) -> None:
    """The commands run unchanged and in order, against `make run`."""
    for program in ("curl", "redis-server"):
        need(program, program)
    need_free(SANDBOX_PORT, SERVICE_PORT)
    found, runner = examples(page), Runner(tmp_path)
    assert len(found) >= EXAMPLES[page]
    with demo() as running:
        for command, printed in found:
            if printed:
                compare(*runner.run(command, printed))
            else:
                runner.output(command)
        running.signal(signal.SIGINT)
        assert running.wait() == 0


def write_task(folder: Path) -> None:
    arguments = [{"order": 0, "type": "input", "value": "it's"}, {"order": 1, "type": "fixed", "value": ""}]
    task = {"name": "Mine", "task_arguments": arguments, "script_runas": "python3 %script%"}
    (folder / "mine.json").write_text(json.dumps({"task": task, "file": {"filename": "mine.py"}}))
    workflow = {"name": "Mine", "graph": {}, "tasks": [{"id": "only", "script": {"filename": "mine.py"}, **task}]}
    (folder / "mine_too.json").write_text(json.dumps(workflow))
    (folder / "mine.py").write_text("import json, sys\nprint(json.dumps({'args': sys.argv[1:]}))\n")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ({"type": "input", "label": "quantity", "value": 3}, 3),
        ({"type": "input", "label": "it's"}, "<it's>"),
        ({}, "<input>"),
        ({"type": "input", "required": False}, None),
        ({"type": "input", "value": "x", "readonly": True}, None),
        ({"type": "fixed", "value": "x"}, None),
        ({"type": "select", "options": [{"id": "a", "label": "A"}, {"id": "b"}]}, "a"),
        ({"type": "select", "options": ["a"]}, "a"),
        ({"type": "select", "label": "one", "options": []}, "<one>"),
        ({"type": "date"}, date),
        ({"type": "file"}, "data:text/plain;base64,aGVsbG8K"),
    ],
)
def test_the_command_for_a_task_fits_its_arguments(argument: dict[str, Any], value: object) -> None:
    task = Task({"id": ID, "name": "My\n task", "task_arguments": [argument]}, b"", "")
    text = ready_text("http://h:1", Recipes({task.id: task}), has_console=False)
    assert "/console" not in text
    title, *command = text.partition("# your task My task")[2].splitlines()[:3]
    value = date.today().isoformat() if value is date else value
    assert ("replace <...>" in title) is str(value).startswith("<")
    assert json.loads(shlex.split(" ".join(command))[-1]) == {"task_arguments": [value]}


def need_nobody(*ports: int) -> None:
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 2).close()


@pytest.mark.parametrize("whose", ["the sandbox's port", "SYNC_BIND"])
def test_make_run_says_that_a_port_is_taken(whose: str) -> None:
    need_free(SANDBOX_PORT)
    with socket.create_server(("127.0.0.1", SANDBOX_PORT if whose != "SYNC_BIND" else 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with demo(starts=False, **({"SYNC_BIND": bind} if whose == "SYNC_BIND" else {})) as running:
            assert running.wait() == 1
            said = running.log_text()
            assert said.startswith(f"make run: cannot listen on {bind} ({whose}): Address already in use")
            assert whose == "SYNC_BIND" or said.endswith("Is it running already?\n")
            assert whose == "SYNC_BIND" or said.count("\n") == 1
    need_nobody(SANDBOX_PORT)


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ("127.0.0.1:65536", "SYNC_BIND must be HOST:PORT here"),
        ("192.0.2.1:7000", r"\(SYNC_BIND\): Cannot assign requested address$"),  # TEST-NET-1 of RFC 5737
        ("a..b:7000", r"\(SYNC_BIND\): [A-Z][a-z ]+$"),  # an error of name resolution, without a network
        ("the sandbox's", r"\(SYNC_BIND\): Address already in use"),
    ],
)
def test_an_address_that_cannot_be_used(bind: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        sandbox_bind = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(demo_module, "SANDBOX_BIND", sandbox_bind)
    monkeypatch.setenv("SYNC_BIND", sandbox_bind if bind == "the sandbox's" else bind)
    with pytest.raises(SystemExit, match=words):
        demo_module.main([])


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="installs everything anew: CI=true runs it")
@pytest.mark.timeout(300)
def test_make_run_in_a_fresh_clone(tmp_path: Path) -> None:
    need_free(SANDBOX_PORT, SERVICE_PORT)
    subprocess.run(["git", "clone", "-q", str(CHECKOUT), str(tmp_path / "a clone")], check=True)
    command = ("make", "-s", f"PYTHON={sys.executable}", "run")
    with demo(command, tmp_path / "a clone", seconds=200) as running, requests.Session() as session:
        session.trust_env = False
        url = f"http://127.0.0.1:{SERVICE_PORT}/acme/task/61f3e937c38201da80f96c27/job?parse&access_token={TOKEN}"
        got = session.post(url, json={"task_arguments": [200]}, headers={"Connection": "close"}, timeout=30)
        assert got.status_code == 418
        os.killpg(running.pid, signal.SIGINT)  # as a terminal's Ctrl-C does
        running.wait()
        assert "Traceback" not in running.log_text()
        need_nobody(SANDBOX_PORT, SERVICE_PORT)


@pytest.mark.parametrize(
    ("bind", "reachable"), [(":7000", "127.0.0.1:7000"), ("0.0.0.0:7000", "127.0.0.1:7000"), ("h:1", "h:1")]
)
def test_the_examples_reach_a_service_on_all_addresses(bind: str, reachable: str) -> None:
    assert demo_module._reachable(bind) == reachable


@pytest.mark.parametrize(
    ("files", "words"), [(None, "is not a folder"), ([], "no file NAME.json"), (["x.py"], "no file NAME.json")]
)
def test_a_folder_without_tasks(
    files: list[str] | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in files or []:
        (tmp_path / name).touch()
    with pytest.raises(SystemExit) as stop:
        demo_module.main(["--tasks", str(tmp_path if files is not None else tmp_path / "nowhere")])
    assert (stop.value.code, words in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize("server", [None, "/bin/false"], ids=["not installed", "does not start"])
def test_without_redis_server(
    server: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYNC_REDIS_URL", raising=False)
    monkeypatch.setattr(demo_module.shutil, "which", lambda name: server)
    assert demo_module._redis(Programs(), tmp_path) == ""
    said = capfd.readouterr().out
    assert ("ended with status 1" if server else '"Idempotency keys" in docs/api.md') in said


@pytest.fixture
def programs() -> Iterator[Programs]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with Programs() as programs:
        yield programs
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_signal_while_a_program_starts_leaves_none_behind(programs: Programs) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    programs.start([sys.executable, "-c", "import time; time.sleep(600)"], os.environ)
    with pytest.raises(Stopped):
        programs.watch()
    (process,) = programs._running
    programs.drop()
    assert process.returncode == -signal.SIGTERM
