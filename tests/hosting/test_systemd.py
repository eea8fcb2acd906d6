"""Test the systemd unit: with systemd's own checks, and by starting the service with the rights that it leaves."""

import os
import re
import runpy
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from support.host_checks import check_graceful_stop, check_logs, check_parallel_waits, check_seed_examples
from support.processes import CHECKOUT, Process, Redis, clean_environment, free_port, need
from support.settings import environment
from support.theeye import StandIn

from app import Settings

UNIT = CHECKOUT / "deploy" / "theeye-sync.service"
EXPOSURE = 1.5  # of 10, where a service without any protection has 9.6


def here(text: str) -> str:
    """Return the unit with the paths of this checkout."""
    return text.replace("/opt/theeye-sync/.venv", sys.prefix).replace("/opt/theeye-sync", str(CHECKOUT))


@pytest.fixture
def unit() -> ConfigParser:
    parsed = ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(here(UNIT.read_text()))
    return parsed


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [need("systemd-analyze", "systemd"), "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(here(UNIT.read_text()))
    ran = analyze("verify", "--man=no", str(unit))
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=stricter"))
    assert "stricter" in analyze("verify", "--man=no", str(unit)).stderr, "it does look"


def test_little_is_exposed() -> None:
    ran = analyze("security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", str(UNIT))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", ran.stdout)
    assert found, ran.stderr
    assert ran.returncode == 0, ran.stdout
    assert float(found[1]) <= EXPOSURE


def test_the_unit_fits_what_gunicorn_needs(unit: ConfigParser, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SYNC_")]:
        monkeypatch.delenv(name)
    gunicorn = runpy.run_path(str(CHECKOUT / "gunicorn.conf.py"))
    service = unit["Service"]
    assert service.getint("TimeoutStopSec") >= gunicorn["graceful_timeout"] + 5
    assert service.getint("LimitNOFILE") >= Settings().open_files
    assert (service["KillSignal"], service["KillMode"], service["Restart"]) == ("SIGTERM", "mixed", "always")


class Unit(Process):
    """Start the unit's command as systemd does: with notification, no capabilities, and its limit of files."""

    def __init__(self, unit: ConfigParser, env: dict[str, str]) -> None:
        super().__init__()
        self._service = unit["Service"]
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.settimeout(60)
        self._notify.bind(str(self.directory / "notify"))
        self._environment = clean_environment() | env | {"NOTIFY_SOCKET": str(self.directory / "notify")}

    def start(self) -> str:
        """Start the unit; return its message when it is ready."""
        rights = [need("setpriv", "util-linux"), "--no-new-privs", "--inh-caps=-all"]
        rights += ["--bounding-set=-all"] if os.geteuid() == 0 else []
        files = [need("prlimit", "util-linux"), f"--nofile={self._service['LimitNOFILE']}"]
        command = [*rights, *files, *shlex.split(self._service["ExecStart"])]
        self.launch(command, cwd=self._service["WorkingDirectory"], env=self._environment)
        return self._notify.recv(4096).decode()

    def close(self) -> None:
        self._notify.close()
        super().close()


@pytest.fixture
def started(unit: ConfigParser, theeye_redis: StandIn, redis_server: Redis) -> Iterator[tuple[Unit, str, str]]:
    port = free_port()
    process = Unit(unit, environment(theeye_redis, redis_url=redis_server.url, bind=f"127.0.0.1:{port}"))
    try:
        yield process, process.start(), f"http://127.0.0.1:{port}"
    finally:
        print(process.log_text())
        process.close()


def test_what_it_starts(unit: ConfigParser, started: tuple[Unit, str, str], theeye_redis: StandIn) -> None:
    process, said, url = started
    assert said.startswith("READY=1"), "Type=notify"
    assert re.search(r"^CapEff:\s0+$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE) or os.geteuid()
    check_seed_examples(url, theeye_redis)
    check_parallel_waits(url, theeye_redis)
    check_graceful_stop(url, theeye_redis, stop=process.terminate)
    assert process.wait(unit["Service"].getfloat("TimeoutStopSec")) == 0
    assert "Traceback" not in process.log_text()
    check_logs(process.directory)
