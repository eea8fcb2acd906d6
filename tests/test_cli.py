"""Test the command `theeye-sync`: how it starts, what it lists, and that it never repeats typed words."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.processes import CHECKOUT, clean_environment, run_python, wait_until
from support.settings import environment
from support.theeye import StandIn

from app import create_app
from app.cli import main
from app.health.status import our_version
from app.settings import Settings

SECRET = "tok-secret-0123456789"


def test_the_command_is_installed_and_is_the_module_too(theeye: StandIn) -> None:
    environ = clean_environment() | environment(theeye)
    script = Path(sys.executable).with_name("theeye-sync")
    for command in ([str(script)], [sys.executable, "-m", "app"]):
        ran = subprocess.run([*command, "check"], env=environ, cwd=CHECKOUT, capture_output=True, text=True, timeout=30)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.endswith("All is well, 1 warning.\n")


# Python runs it when gunicorn starts, so that the test can come in time.
WAITS = """
import sys, time
from pathlib import Path
while "gunicorn" in sys.orig_argv and not Path(__file__).with_name("go").exists():
    time.sleep(0.01)
"""


def test_a_sigterm_during_the_start_is_not_lost(theeye: StandIn, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WAITS)
    environ = clean_environment() | environment(theeye, bind="127.0.0.1:0") | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environ, cwd=CHECKOUT, stderr=-1) as process:
        status = Path(f"/proc/{process.pid}/status")
        wait_until(lambda: f"SigBlk:\t{1 << signal.SIGTERM - 1:016x}" in status.read_text(), 30, "a blocked SIGTERM")
        process.terminate()
        (tmp_path / "go").touch()
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Handling signal: term" in log


def test_sigusr2_starts_a_second_gunicorn(theeye: StandIn) -> None:
    environ = clean_environment() | environment(theeye, bind="127.0.0.1:0", workers=1)
    command = [sys.executable, "-m", "app", "serve"]
    with subprocess.Popen(command, env=environ, cwd=CHECKOUT, stderr=-1, text=True) as process:
        assert process.stderr is not None
        pids = []
        for line in process.stderr:
            if found := re.search(r"\[(\d+)\] \[INFO\] TheEye Sync at", line):
                pids.append(int(found[1]))
                if pids == [process.pid]:
                    process.send_signal(signal.SIGUSR2)
            if len(pids) == 2 or "Error" in line:
                break
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        process.communicate(timeout=60)
    assert (pids[0], len(pids)) == (process.pid, 2)


def test_ctrl_c_ends_it_at_once_and_cleanly(theeye: StandIn) -> None:
    theeye.freeze()
    environ = clean_environment() | environment(theeye, call_timeout=100)
    with subprocess.Popen(
        [sys.executable, "-m", "app", "check"], env=environ, cwd=CHECKOUT, stdout=-1, stderr=-1, text=True
    ) as process:
        theeye.wait_for_calls("profile", 1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, ""), "and not after the call's 100 seconds"


def test_ctrl_c_while_it_is_loaded_shows_no_traceback() -> None:
    program = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'app.cli':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from app.__main__ import main\n"
        "main()\n"
    )
    assert run_python("-c", program, status=130).stderr == ""


@pytest.mark.parametrize("command", [["check"], ["tasks", "acme"]])
def test_ctrl_c_is_never_taken_for_a_failure(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for module in ("app.cli", "app.client.commands"):
        monkeypatch.setattr(f"{module}.read_token", interrupt)
    ran = CliRunner().invoke(main, command)
    assert (ran.exit_code, ran.output) == (130, "")


def test_the_formatters_are_listed_as_under_flask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_DISABLED_FORMATTERS", "full")
    ours = CliRunner().invoke(main, ["formatters"])
    theirs = create_app(Settings.from_env()).test_cli_runner().invoke(args=["formatters"])
    assert ours.exit_code == 0
    assert ours.output == theirs.output
    assert "?full" not in ours.output
    monkeypatch.setenv("SYNC_WORKERS", "none")
    ours = CliRunner().invoke(main, ["formatters"])
    assert (ours.exit_code, ours.output) == (1, "Error: SYNC_WORKERS must be a whole number from 1 to 1024\n")


def test_a_plugin_that_failed_is_told_by_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_PLUGINS", "no_such_module")
    theirs = create_app(Settings.from_env()).test_cli_runner().invoke(args=["formatters"])
    for ran in (CliRunner().invoke(main, ["formatters"]), theirs):
        assert ran.exit_code == 1
        assert "not loaded: no_such_module: ModuleNotFoundError" in ran.output


def test_the_version() -> None:
    ran = CliRunner().invoke(main, ["--version"])
    assert (ran.exit_code, ran.output) == (0, f"theeye-sync, version {our_version()}\n")


@pytest.mark.parametrize("place", [SECRET, f"--{SECRET}", f"-{SECRET}", f"--json={SECRET}", f"--token={SECRET}"])
@pytest.mark.parametrize("before", [[], ["check"], ["check", "--token"], ["check", "--token", "-"], ["formatters"]])
def test_a_token_is_never_an_argument(before: list[str], place: str) -> None:
    ran = CliRunner().invoke(main, [*before, place])
    assert ran.exit_code == 2
    assert "--token -" in ran.output
    assert SECRET not in ran.output
    assert SECRET[:8] not in ran.output


def test_without_a_command_it_lists_them() -> None:
    ran = CliRunner().invoke(main, [])
    assert ran.exit_code == 2
    assert "check " in ran.output
    assert "formatters " in ran.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["other:app", "--check-config"], "no application"),
        (["--workers", "2", "wsgi:application"], "no application"),
        (["--no-such-option", SECRET], "no such option"),
        (["-c", "other.py"], "`from app.serving.config import *`"),
    ],
)
def test_serve_says_what_it_takes(options: list[str], words: str) -> None:
    ran = CliRunner().invoke(main, ["serve", *options])
    assert ran.exit_code == 2
    assert words in ran.output
    assert SECRET not in ran.output
