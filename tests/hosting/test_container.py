"""Test the container files, with linters, and by carrying them out in a root that has nothing else."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from support.container import CHECKOUT, DOCKERFILE, VENV, Container, stages
from support.processes import Redis, free_port, need, raw_request, request_bytes, run_python, wait_until
from support.sandbox import TASK, TEXT_418, Client, check_live
from support.settings import Server, environment
from support.theeye import StandIn
from support.world import World, over_http

from app import Settings
from app.serving.healthcheck import main
from sandbox import Sandbox

COMPOSE = CHECKOUT / "deploy" / "compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
TMP = [each.partition(":")[0] for each in SERVICES["sync"]["tmpfs"]]


def run(*command: str) -> tuple[int, str]:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_hadolint_finds_no_fault(tmp_path: Path) -> None:
    hadolint = str(Path(sys.executable).parent / "hadolint")
    assert run(hadolint, str(DOCKERFILE)) == (0, "")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.read_text().replace("3.13-bookworm", "latest"))
    assert "DL3007" in run(hadolint, str(tmp_path / "Dockerfile"))[1], "it does look"


def test_compose_finds_no_fault() -> None:
    compose = [need("docker-compose", "docker-compose"), "--file", str(COMPOSE), "config", "--quiet"]
    assert run(*compose) == (0, "")


def test_the_context_has_what_is_copied() -> None:
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    copied = [name for text in stages()[0].all("COPY") for name in text.split()[:-1]]
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)


def test_the_result_is_a_slim_image_and_what_was_built() -> None:
    assert all(re.fullmatch(r"python:3\.\d+-(slim-)?bookworm( AS build)?", stage.base) for stage in stages())
    assert "slim" in stages()[-1].base, "it has no compiler"
    assert stages()[-1].all("RUN") == []
    assert stages()[-1].all("COPY") == [f"--from=build {VENV} {VENV}"]


def test_a_stop_is_given_the_time_it_takes() -> None:
    gunicorn = runpy.run_path(str(CHECKOUT / "gunicorn.conf.py"))
    assert SERVICES["sync"]["stop_grace_period"] == f"{gunicorn['graceful_timeout'] + 10}s"
    assert SERVICES["sync"]["ulimits"]["nofile"] >= Settings().open_files
    assert stages()[-1].last("STOPSIGNAL") == "SIGTERM"


@pytest.mark.parametrize("container", ["0", stages()[-1].environment["SYNC_CONTAINER"]])
def test_the_image_logs_to_standard_output(container: str) -> None:
    ran = run_python("-m", "gunicorn", "--max-requests", "1", SYNC_CONTAINER=container, status=1)
    log, other = (ran.stdout, ran.stderr) if container == "1" else (ran.stderr, ran.stdout)
    assert "Starting gunicorn" in log
    assert other == ""


@pytest.mark.parametrize("bind", ["unix:/nowhere", "fd://3", "127.0.0.1:1"])
def test_no_service_is_not_healthy(
    bind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNC_BIND", bind)
    assert main() == 1
    assert capsys.readouterr().err.startswith("theeye-sync: ")


Start = Callable[..., tuple[Container, str]]


@pytest.fixture
def start(venv: Path) -> Iterator[Start]:
    """Start the image as compose.yaml does, on a port given by the platform, and wait until it is healthy."""
    with ExitStack() as stack:

        def started(theeye: Server, writable: list[str] = TMP, **settings: object) -> tuple[Container, str]:
            port = free_port()
            env = SERVICES["sync"]["environment"] | environment(theeye, **settings) | {"PORT": str(port)}
            env = {name: value for name, value in env.items() if value}
            container = stack.enter_context(Container(venv, env, writable))
            wait_until(container.is_healthy, 60, "HEALTHCHECK")
            return container, f"http://127.0.0.1:{port}"

        yield started


@pytest.mark.deploy
def test_every_package_is_pinned(venv: Path) -> None:
    installed = {each.name.lower() for each in venv.glob("lib/python*/site-packages/*.dist-info")}
    installed = {re.sub(r"[-_.]+", "-", name.removesuffix(".dist-info")) for name in installed}
    constraints = (CHECKOUT / "deploy" / "constraints.txt").read_text().lower()
    pinned = {re.sub(r"[-_.=]+", "-", line) for line in constraints.splitlines() if line and line[0] != "#"}
    assert {name for name in installed if not name.startswith("theeye-sync-")} == pinned


@pytest.mark.deploy
@pytest.mark.parametrize("writable", [TMP, ["/dev/shm"]])
def test_it_serves(start: Start, redis_server: Redis, tmp_path: Path, writable: list[str]) -> None:
    metrics = free_port()
    with Sandbox(database=tmp_path / "theeye.sqlite3", redis_url=redis_server.url) as sandbox:
        more = {"redis_url": redis_server.url, "metrics_bind": f":{metrics}"}
        container, url = start(sandbox, writable, **more)
        with Client(url) as client:
            job = f"/acme/task/{TASK}/job"
            check_live(client.told("POST", job, json={"task_arguments": [100]})[1][0])
            status, [failure] = client.told("POST", job, json={"task_arguments": [200]})
            assert (status, failure) == (500, TEXT_418)
            assert client.call("POST", f"{job}?parse", json={"task_arguments": [200]}).status_code == 418
            assert client.get("/readyz?local=1").status_code == 200
        counted = raw_request("127.0.0.1", metrics, request_bytes("GET", "/metrics")).body.decode()
        assert 'theeye_sync_requests_total{mode="output",outcome="success"} 1.0' in counted
        log = container.log_text()
        assert f"TheEye Sync at http://0.0.0.0:{url.rpartition(':')[2]}, http://0.0.0.0:{metrics}; workers: " in log
        assert " 200 POST " in log
        status_file = Path(f"/proc/{container.pid}/status").read_text()
        assert re.search(r"^Uid:\t(10001\t){3}10001$", status_file, re.MULTILINE)
        assert re.search(r"^CapBnd:\t0+$", status_file, re.MULTILINE)


@pytest.mark.deploy
def test_without_a_writable_directory_it_says_which(venv: Path, theeye: StandIn) -> None:
    with Container(venv, environment(theeye), []) as container:
        assert container.wait() == 1
        assert "one of /tmp, /dev/shm or TMPDIR must be" in container.log_text()


@pytest.mark.deploy
def test_sigterm_answers_whoever_waits(start: Start, theeye: StandIn) -> None:
    container, url = start(theeye, redis_url="", metrics_bind="", grace_seconds=30)
    world = World(theeye, over_http(url))
    with world.parked(50) as (job_ids, answers):
        container.terminate()
        wait_until(lambda: "Handling signal: term" in container.log_text(), 30, "the signal")
        for job_id in job_ids[:25]:
            theeye.finish(job_id)
        wait_until(lambda: sum(answer.done() for answer in answers) == 25, 30, "the first half")
        for job_id in job_ids[25:]:
            theeye.finish(job_id)
        assert [answer.result(60).status_code for answer in answers] == [200] * 50
    assert container.wait() == 0


@pytest.mark.deploy
def test_one_command_runs_a_task(venv: Path, redis_server: Redis, start: Start) -> None:
    port = free_port()
    command = [word.replace("6080", str(port)) for word in SERVICES["theeye"]["command"]]
    with Container(venv, {"SYNC_REDIS_URL": redis_server.url}, TMP, command) as theeye:
        wait_until(lambda: "Ctrl-C stops it" in theeye.log_text(), 30, "the miniature TheEye")
        _, url = start(SimpleNamespace(url=f"http://127.0.0.1:{port}"), redis_url=redis_server.url, metrics_bind="")
        task = SERVICES["task"]
        assert task["environment"]["SYNC_URL"] == "http://sync:6090"
        with Container(venv, task["environment"] | {"SYNC_URL": url}, TMP, task["command"]) as asked:
            assert asked.wait() == 0
            check_live(asked.log_text().splitlines()[-1])
