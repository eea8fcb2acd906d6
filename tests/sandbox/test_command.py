"""python -m sandbox, as a process of its own."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import CHECKOUT, clean_environment
from support.sandbox import ID, SLEEPER, TASK, Client, eventually, recipe


def start(folder: Path, *options: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "sandbox", *options],
        cwd=folder,
        env={**clean_environment(), "PYTHONPATH": str(CHECKOUT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", Client, str]]:
    """Give the process, a client, and what it printed at the start."""
    with start(folder, "--bind", "127.0.0.1:0", *options) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
                said += line
            url = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert url
            with Client(url[0]) as client:
                yield process, client, said
        finally:
            process.kill()


def refused(folder: Path, *options: str, **variables: str) -> tuple[int, str]:
    with start(folder, *options, **variables) as process:
        out, err = process.communicate(timeout=20)
    assert out == ""
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_one_needs_runs_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    recipe(tmp_path / "own", ID, f"echo $$ > {tmp_path}/number; sleep 60; true")
    with running(tmp_path, "--tasks", str(tmp_path / "own")) as (process, client, said):
        for part in ("acme", "5e0000000000000000000001", "demo-token", "ada / lovelace", "Rest API Response"):
            assert part in said
        client.create(ID)
        written = tmp_path / "number"
        script = int(eventually(lambda: written.exists() and written.read_text().strip()))
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert ID in said
    assert eventually(lambda: not Path(f"/proc/{script}").exists())
    assert (tmp_path / ".sandbox" / "theeye.sqlite3").exists()


def test_a_kill_loses_no_job(tmp_path: Path) -> None:
    with running(tmp_path) as (process, client, _):
        done = client.run(TASK, 100)
        parked = client.create(SLEEPER, 0, lifecycle="syncing")
        process.kill()
        process.wait(20)
    with running(tmp_path) as (_, client, _):
        assert client.job(done["id"]) == done
        client.call("PUT", f"/job/{parked}/synced")
        assert client.ended(parked)["state"] == "success"


def test_a_token_in_a_url_stands_in_no_log(tmp_path: Path) -> None:
    with running(tmp_path) as (process, client, _):
        client.get("/api/session/profile?access_token=secret-token")
        with socket.create_connection(("127.0.0.1", int(client.url.rpartition(":")[2]))) as odd:
            odd.sendall(b"GET /?access_token=secret-token HTTP/9 what\r\n\r\n")
            assert odd.recv(1000)
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert "secret-token" not in out + err


BINDS = {  # the word that tells what is wrong
    **dict.fromkeys(["0.0.0.0:0", "[::]:0", "example.org:0"], "--allow-remote"),
    **dict.fromkeys(["6080", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000"], "HOST:PORT"),
}


@pytest.mark.parametrize(("bind", "word"), BINDS.items())
def test_it_listens_on_a_loopback_address_only(tmp_path: Path, bind: str, word: str) -> None:
    status, err = refused(tmp_path, "--bind", bind)
    assert status == 2
    assert word in err
    assert word == "HOST:PORT" or err.count("\n") == 1


def test_remote_when_allowed(tmp_path: Path) -> None:
    with running(tmp_path) as (_, client, _):
        assert client.get("/api/session/profile").ok
    with start(tmp_path, "--bind", "0.0.0.0:0", "--allow-remote") as process:
        assert process.stdout is not None
        assert "http://0.0.0.0:" in process.stdout.readline()
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, err = refused(tmp_path, "--bind", f"127.0.0.1:{port}")
    assert (status, err.count("\n")) == (1, 1)
    assert f"port {port}" in err
    assert "--bind" in err


def test_a_broken_recipe_is_named_and_does_not_stop_it(tmp_path: Path) -> None:
    broken = CHECKOUT / "tests" / "data" / "recipes" / "broken"
    with running(tmp_path, "--tasks", str(broken)) as (process, client, _):
        assert client.get(f"/acme/task/{TASK}").ok
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert "wrong_md5.json" in err
    assert "Traceback" not in err


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
    status, err = refused(tmp_path, "--bind", "127.0.0.1:0", SYNC_REDIS_URL=url)
    assert status == 1
    assert words in err
    assert not missing or err.count("\n") == 1
