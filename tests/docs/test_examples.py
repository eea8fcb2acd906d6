"""Test the example package and the guide as a new user would: a fresh virtual environment, gunicorn and curl.

Only the packages that both depend on come from the environment of the tests: nothing is downloaded.
"""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.processes import CHECKOUT, Process, clean_environment, free_port, need, wait_until
from support.settings import environment

from sandbox import TOKEN, Sandbox

EXAMPLE = CHECKOUT / "examples" / "theeye-sync-csv"
GUIDE = CHECKOUT / "docs" / "plugins.md"
PACKAGES = sysconfig.get_path("purelib")
SECONDS = 100
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
NOT_BUILT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


def bare_environment(**more: str) -> dict[str, str]:
    """Return the environment without the variables of pytest and its virtual environment."""
    theirs = ("VIRTUAL_ENV", "PYTHON")
    kept = {name: value for name, value in clean_environment().items() if not name.startswith(theirs)}
    return kept | OFFLINE | more


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program and return its output. Raise AssertionError if it fails."""
    env = bare_environment()
    ran = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, f"{command}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the files from which the distribution is built: a build leaves files beside them."""
    copy = tmp_path_factory.mktemp("checkout") / "theeye-sync"
    copy.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "wsgi.py", "gunicorn.conf.py"):
        if (CHECKOUT / name).exists():
            shutil.copy(CHECKOUT / name, copy)
    for name in ("app", "formatters", "sandbox", "examples"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=NOT_BUILT)
    return copy


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """Return the Python of a fresh virtual environment, into which pip has installed the service and the example."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    library = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    (Path(library.strip()) / "tests_environment.pth").write_text(f"{PACKAGES}\n")
    install = ["-m", "pip", "install", "--quiet", "--ignore-installed", "--no-deps", "--no-build-isolation"]
    run(python, *install, checkout, checkout / "examples" / EXAMPLE.name, cwd=folder)
    return python


class Installed(Process):
    """Run the installed service without a checkout, by `theeye-sync serve` or another command."""

    def __init__(self, python: Path, sandbox: Sandbox, *command: str) -> None:
        super().__init__()
        bind = f"127.0.0.1:{free_port()}"
        self.url = f"http://{bind}"
        self._command = [str(python), *(command or ("-m", "app", "serve")), "--bind", bind]
        self._env = bare_environment(SYNC_BIND=bind, SYNC_WORKERS="1", **environment(sandbox))

    def start(self) -> None:
        self.launch(self._command, cwd=self.directory, env=self._env)
        wait_until(self._is_up, 60, "gunicorn")

    def _is_up(self) -> bool:
        self._check_early_exit()
        ran = subprocess.run(["curl", "--silent", "--fail", f"{self.url}/healthz"], capture_output=True)
        return ran.returncode == 0


@pytest.fixture(scope="module")
def service(fresh: Path, sandbox: Sandbox) -> Iterator[Installed]:
    need("curl", "curl")
    with Installed(fresh, sandbox) as running:
        yield running


def host_of(service: Installed) -> dict[str, Any]:
    """Return what `readyz` reports about the server, and what is degraded there."""
    ready = json.loads(
        run("curl", "--silent", "--fail", "--retry", "9", f"{service.url}/readyz", cwd=service.directory)
    )
    return {"degraded": ready["degraded"], **ready["host"]}


def test_serve_configures_gunicorn_without_a_checkout(service: Installed) -> None:
    host = host_of(service)
    assert (host["parallel"], host["stopping"], host["degraded"]) == (1000, "waits are answered", [])
    assert "Using worker: app.serving." in service.log_text()


def test_a_bare_gunicorn_is_safe_and_says_what_it_lacks(fresh: Path, sandbox: Sandbox) -> None:
    with Installed(fresh, sandbox, "-m", "gunicorn", "wsgi:application", "--threads", "4") as bare:
        host = host_of(bare)
        assert (host["parallel"], host["stopping"]) == ("unknown", "waits are cut")
        assert "theeye-sync serve" in host["degraded"][0]
        cut = ["curl", "--silent", "--header", "SCRIPT_NAME: /acme", f"{bare.url}/acme/healthz"]
        assert json.loads(run(*cut, cwd=bare.directory))["code"] == "ENOTFOUND", "no client's header cuts the path"


def curl(service: Installed, query: str, arguments: str, *options: str) -> str:
    """Return the response of the echo task, whose arguments are its outputs, with its head."""
    url = f"{service.url}/acme/task/61f3e937c38201da80f96c28/job{query}"
    sent = ["--header", f"authorization: Bearer {TOKEN}", "--header", "content-type: application/json"]
    command = ["curl", "--silent", "--show-error", "--include", "--data", arguments, *sent, *options, url]
    return run(*command, cwd=service.directory).replace("\r\n", "\n")


ROWS = '{"task_arguments":[{"server":"web-1","note":"=1+1"},{"server":"web \\"2\\"","load":0.5}]}'


def test_the_example_is_installed_and_listed(fresh: Path, tmp_path: Path) -> None:
    listed = run(fresh, "-m", "flask", "--app", "wsgi", "formatters", cwd=tmp_path)
    line = next(line for line in listed.splitlines() if line.startswith("csv"))
    assert line.split() == ["csv", "150", "?csv,", "Accept:", "text/csv", "theeye-sync-csv", "1.0.0"]
    assert "not loaded" not in listed


def test_what_runs_is_what_was_installed(fresh: Path, tmp_path: Path) -> None:
    program = "import app, formatters, theeye_sync_csv as c; print(app.__file__, formatters.__file__, c.__file__)"
    for file in run(fresh, "-c", program, cwd=tmp_path).split():
        assert Path(file).is_relative_to(fresh.parent.parent)


def test_the_examples_own_tests_pass(fresh: Path, checkout: Path) -> None:
    folder = checkout / "examples" / EXAMPLE.name
    assert " passed" in run(fresh, "-m", "pytest", "-q", "tests", cwd=folder)


@pytest.mark.parametrize("way", ["query", "accept"])
def test_curl_gets_a_csv_file(way: str, service: Installed) -> None:
    got = curl(service, "?csv", ROWS) if way == "query" else curl(service, "", ROWS, "--header", "accept: text/csv")
    head, _, body = got.partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK\n")
    assert "\nContent-Type: text/csv; charset=utf-8\n" in head
    assert re.search(r'\nContent-Disposition: attachment; filename="echo-[0-9a-f]{24}\.csv"\n', head)
    assert "\nX-Content-Type-Options: nosniff\n" in head
    rows = list(csv.reader(io.StringIO(body)))
    assert rows == [["server", "note", "load"], ["web-1", "'=1+1", ""], ['web "2"', "", "0.5"]]


def test_curl_gets_what_the_example_refuses(service: Installed) -> None:
    refused = curl(service, "?csv=pipe", ROWS)
    assert refused.startswith("HTTP/1.1 400 Bad Request\n")
    assert '"message":"csv can be comma, semicolon or tab"' in refused
    assert "X-Job-Id" not in refused
    failed = curl(service, "?csv", '{"task_arguments":["no table"]}')
    assert failed.startswith("HTTP/1.1 502 Bad Gateway\n")
    assert '"code":"EFORMATTER"' in failed
    assert '"formatter":"csv"' in failed


def test_the_examples_readme_has_ten_lines() -> None:
    assert len((EXAMPLE / "README.md").read_text().splitlines()) <= 10


@pytest.mark.parametrize("file", ["theeye_sync_csv.py", "tests/test_csv.py"])
def test_the_example_uses_nothing_but_what_is_promised(file: str) -> None:
    imported = re.findall(r"^(?:from|import) ((?:formatters|app|sandbox)[\w.]*)", (EXAMPLE / file).read_text(), re.M)
    assert imported
    assert set(imported) <= {"formatters", "formatters.testing"}


# -- the guide --------------------------------------------------------------------------------------------

BLOCKS = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def script_of(guide: str) -> str:
    """Return the guide's steps: shell blocks unchanged; save other blocks under the name in their first line."""
    steps = ["set -eu"]
    for number, (language, text) in enumerate(BLOCKS.findall(guide)):
        if language == "sh":
            steps.append(text)
        elif language != "text":
            name = re.fullmatch(r"# ([\w.]+)", text.splitlines()[0])
            assert name, f"a {language} block names no file: {text[:60]!r}"
            steps.append(f"cat > {name[1]} <<'END-OF-{number}'\n{text}END-OF-{number}\n")
    return "\n".join(steps)


def test_the_guides_steps(tmp_path: Path, checkout: Path) -> None:
    need("curl", "curl")
    guide = GUIDE.read_text()
    script = script_of(guide)
    for port in ("6080", "6090"):
        assert f"127.0.0.1:{port}" in script
        script = script.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = bare_environment(THEEYE_SYNC=str(checkout), PYTHONPATH=PACKAGES, PATH=path)
    env["GUNICORN_CMD_ARGS"] = "--no-control-socket"  # it is one path for each user
    with (tmp_path / "output").open("w+") as output:
        bash = subprocess.Popen(
            ["bash", "-c", script], cwd=tmp_path, env=env, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = bash.wait(SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(bash.pid, signal.SIGKILL)
        output.seek(0)
        printed = output.read()
    assert code == 0, printed
    position = 0
    for language, text in BLOCKS.findall(guide):
        for line in text.splitlines() if language == "text" else ():
            found = re.search(r"\s+".join(map(re.escape, line.split())), printed[position:])
            assert found, f"{line!r} is not printed there:\n{printed}"
            position += found.end()
