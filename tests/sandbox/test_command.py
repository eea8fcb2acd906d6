"""Test python -m sandbox, as a process of its own."""

import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import CHECKOUT, Process, clean_environment, run_python, wait_until
from support.sandbox import ID, SLEEPER, TASK, Client, eventually, recipe


class Command(Process):
    """Run the command, until it has printed everything."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__()
        self._folder, self._options = folder, options

    def start(self) -> None:
        command = [sys.executable, "-W", "error", "-m", "sandbox", "--bind", "127.0.0.1:0", *self._options]
        self.launch(command, cwd=self._folder, env=clean_environment() | {"PYTHONPATH": str(CHECKOUT)})
        wait_until(self._is_ready, 30, "the sandbox")

    def _is_ready(self) -> bool:
        self._check_early_exit()
        return "Ctrl-C" in self.log_text()

    @property
    def url(self) -> str:
        return re.findall(r"http://[\d.]+:\d+", self.log_text())[0]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[Command, Client]]:
    with Command(folder, *options) as process, Client(process.url) as client:
        yield process, client


def refused(folder: Path, *options: str, status: int, **variables: str) -> str:
    ran = run_python("-m", "sandbox", "--database", f"{folder}/x", *options, status=status, **variables)
    assert ran.stdout == ""
    return ran.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_one_needs_runs_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    recipe(tmp_path / "own", ID, f"echo $$ > {tmp_path}/number; sleep 60; true")
    with running(tmp_path, "--tasks", str(tmp_path / "own")) as (process, client):
        said = process.log_text()
        for part in ("acme", "5e0000000000000000000001", "demo-token", "ada / lovelace", "Rest API Response", ID):
            assert part in said
        client.create(ID)
        written = tmp_path / "number"
        script = int(eventually(lambda: written.exists() and written.read_text().strip()))
        process.signal(number)
        assert (process.wait(20), process.log_text()) == (0, said)
    assert eventually(lambda: not Path(f"/proc/{script}").exists())
    assert (tmp_path / ".sandbox" / "theeye.sqlite3").exists()


def test_a_kill_loses_no_job(tmp_path: Path) -> None:
    with running(tmp_path) as (process, client):
        done = client.run(TASK, 100)
        parked = client.create(SLEEPER, 0, lifecycle="syncing")
        process.kill()
    with running(tmp_path) as (_, client):
        assert client.job(done["id"]) == done
        client.call("PUT", f"/job/{parked}/synced")
        assert client.ended(parked)["state"] == "success"


def test_a_token_in_a_url_stands_in_no_log(tmp_path: Path) -> None:
    with running(tmp_path) as (process, client):
        client.get("/api/session/profile?access_token=secret-token")
        with socket.create_connection(client.address) as odd:
            odd.sendall(b"GET /?access_token=secret-token HTTP/9 what\r\n\r\n")
            assert odd.recv(1000)
        process.terminate()
        process.wait(20)
        assert "secret-token" not in process.log_text()


BINDS = {  # the word that tells what is wrong
    **dict.fromkeys(["0.0.0.0:0", "[::]:0", "example.org:0"], "--allow-remote"),
    **dict.fromkeys(["6080", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000"], "HOST:PORT"),
}


@pytest.mark.parametrize(("bind", "word"), BINDS.items())
def test_it_listens_on_a_loopback_address_only(tmp_path: Path, bind: str, word: str) -> None:
    err = refused(tmp_path, "--bind", bind, status=2)
    assert word in err
    assert word == "HOST:PORT" or err.count("\n") == 1


def test_remote_when_allowed(tmp_path: Path) -> None:
    with Command(tmp_path, "--bind", "0.0.0.0:0", "--allow-remote") as process:
        assert process.url.startswith("http://0.0.0.0:")


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        err = refused(tmp_path, "--bind", f"127.0.0.1:{port}", status=1)
    assert err.count("\n") == 1
    assert f"port {port}" in err
    assert "--bind" in err


def test_a_broken_recipe_is_named_and_does_not_stop_it(tmp_path: Path) -> None:
    with running(tmp_path, "--tasks", f"{CHECKOUT}/tests/data/recipes/broken") as (process, client):
        assert client.get(f"/acme/task/{TASK}").ok
        assert "wrong_md5.json" in process.log_text()
        assert "Traceback" not in process.log_text()


@pytest.mark.parametrize(
    ("url", "missing", "words"),
    [
        ("http://x", False, "SYNC_REDIS_URL is not a Redis URL"),
        ("redis://127.0.0.1:1", True, "redis-py is not installed"),
    ],
)
def test_a_redis_that_cannot_be_used(tmp_path: Path, url: str, missing: bool, words: str) -> None:
    if missing:
        (tmp_path / "redis.py").write_text("raise ImportError('not here')")
    path = {"PYTHONPATH": str(tmp_path)}
    err = refused(tmp_path, "--bind", "127.0.0.1:0", status=1, SYNC_REDIS_URL=url, **path)
    assert words in err
    assert not missing or err.count("\n") == 1
