"""Run Apache's mod_wsgi, uWSGI, waitress and wsgiref, each with its files in deploy/."""

import atexit
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest

from support.health import when_known
from support.host_checks import DEPLOY, ask
from support.processes import CHECKOUT, Process, clean_environment, free_port, need, wait_until
from support.settings import environment
from support.theeye import StandIn

HOME, ADDRESS = "/opt/theeye-sync", "127.0.0.1:6090"  # as in the files of deploy/
MODULES = Path("/usr/lib/apache2/modules")
BASE = CHECKOUT / "tests" / "data" / "apache.conf"


class LegacyHost(Process):
    """Run one of the hosts."""

    stop_timeout = 30.0
    name: str

    def __init__(self, theeye: StandIn, **settings: object) -> None:
        super().__init__()
        self.theeye, self._settings = theeye, settings
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"

    def start(self) -> None:
        env = clean_environment() | environment(self.theeye, bind=self.address, **self._settings) | self.more()
        self.launch(self.command(), cwd=self.directory, env=env)
        wait_until(self._is_up, 60, "GET /healthz")

    def readyz(self) -> Any:
        return when_known(lambda: ask(self.url, "/readyz").json())

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def more(self) -> dict[str, str]:
        """Return further environment variables."""
        return {}

    def deployed(self, name: str, home: Path | str = CHECKOUT) -> str:
        """Return the text of a file of deploy/ with the test's folder and port."""
        text = (DEPLOY / name).read_text()
        assert HOME in text
        assert ADDRESS in text
        return text.replace(f"{HOME}/.venv", str(self.venv())).replace(HOME, str(home)).replace(ADDRESS, self.address)

    def venv(self) -> Path:
        return Path(sys.prefix)

    def _is_up(self) -> bool:
        self._check_early_exit()
        with suppress(OSError):
            return ask(self.url, "/healthz", timeout=5).status == 200
        return False


@functools.cache
def installed() -> Path:
    """Install the service into a virtual environment of Debian's Python, which Debian's mod_wsgi uses."""
    folder = tempfile.TemporaryDirectory(prefix="theeye-sync-")
    atexit.register(folder.cleanup)
    home = Path(folder.name)
    home.chmod(0o755)
    for name in ("app", "formatters", "deploy"):
        shutil.copytree(CHECKOUT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "wsgi.py", home)
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", home / ".venv"], check=True)
    needed = [line.partition(";")[0] for line in requires("theeye-sync") or () if "extra" not in line]
    pip = [sys.executable, "-m", "pip", "--python", home / ".venv" / "bin" / "python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *needed, "redis[hiredis]"], check=True)
    return home


class ModWsgi(LegacyHost):
    """Run Apache with a copy of the service: started as root, it serves as a user who may not read the checkout."""

    name = "mod_wsgi"

    def command(self) -> Sequence[str]:
        package = "apache2 libapache2-mod-wsgi-py3"
        apache = need("/usr/sbin/apache2", package)
        module = (MODULES / "mod_wsgi.so").resolve()
        if not module.exists():
            need("mod_wsgi.so", package)
        if not module.name.endswith(python := f"-{sys.version_info.major}.{sys.version_info.minor}"):
            pytest.skip(f"{module.name} is for another Python than {python[1:]}")
        self.directory.chmod(0o755)
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        self.status = f"127.0.0.1:{free_port()}"
        places = {"folder": self.directory, "modules": MODULES, "address": self.address, "status": self.status}
        base = BASE.read_text().format(user=user, **places)
        conf = self.directory / "apache.conf"
        conf.write_text(base + self.deployed("apache.conf", self.home))
        return [apache, "-D", "FOREGROUND", "-f", str(conf)]

    def more(self) -> dict[str, str]:
        return {"APACHE_LOG_DIR": str(self.directory)}

    @property
    def home(self) -> Path:
        return installed()

    def venv(self) -> Path:
        return self.home / ".venv"

    def terminate(self) -> None:
        """Send the signal of `apachectl graceful-stop`."""
        self.signal(signal.SIGWINCH)


class Uwsgi(LegacyHost):
    """Run uWSGI from PyPI."""

    name = "uwsgi"

    def command(self) -> Sequence[str]:
        ini = self.directory / "uwsgi.ini"
        ini.write_text(self.deployed("uwsgi.ini"))
        return [str(Path(sys.executable).with_name("uwsgi")), str(ini)]

    def _is_up(self) -> bool:
        """Return whether all processes are up: one that is loading the service would miss a signal to stop."""
        return self.log_text().count("WSGI app 0") == 2 and super()._is_up()


class Waitress(LegacyHost):
    """Run waitress from PyPI, with SIGINT ignored, as after `&` in a script."""

    name = "waitress"

    def command(self) -> Sequence[str]:
        return ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, str(DEPLOY / "waitress_server.py")]


class WaitressServe(LegacyHost):
    """Run waitress by its own command."""

    name = "waitress-serve"

    def command(self) -> Sequence[str]:
        waitress = str(Path(sys.executable).with_name("waitress-serve"))
        return [waitress, f"--listen={self.address}", "--threads=128", "wsgi:application"]

    def terminate(self) -> None:
        """Send SIGINT: waitress does not stop cleanly on SIGTERM."""
        self.signal(signal.SIGINT)


class Wsgiref(LegacyHost):
    """Run Python's own wsgiref."""

    name = "wsgiref"

    def command(self) -> Sequence[str]:
        return [sys.executable, str(DEPLOY / "wsgiref_server.py")]
