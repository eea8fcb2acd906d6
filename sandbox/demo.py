"""Run `python -m sandbox.demo`, which `make run` starts: a sandbox and the service, and print example commands."""

import argparse
import errno
import logging
import os
import re
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NoReturn

import requests

from sandbox.examples import ready_text
from sandbox.loading import Recipes, load_recipes
from sandbox.programs import Failed, Programs, Stopped

SANDBOX_BIND = "127.0.0.1:6080"
NO_REDIS = """\
no Redis, because redis-server is not installed. Requests with an Idempotency-Key get 501 ENOKEYS.
  The examples of "Idempotency keys" in docs/api.md and `--key` in docs/cli.md need Redis. All others work"""
HELP_END = f"""\
The command starts in about five seconds. It prints each step, and then the address of the console and commands to
type. The first time, and when setup.cfg has changed, `make run` first installs the packages that it needs. That takes
up to a minute and needs a network. Without a network it starts with the installed packages, and names the missing ones.

The service listens on http://127.0.0.1:6090, or on the address in SYNC_BIND, and the sandbox on {SANDBOX_BIND}. All
other SYNC_ settings work too (docs/settings.md). For example, SYNC_CONSOLE=0 turns off the console.

If redis-server is installed, the command starts a Redis that stores nothing on disk. Set SYNC_REDIS_URL to use another
Redis, or set it to the empty string to use none. Without Redis a request with an Idempotency-Key gets 501 (the examples
of "Idempotency keys" in docs/api.md, `--key` in docs/cli.md), and the service asks TheEye at intervals whether a job
has ended.

--tasks FOLDER, or `make run TASKS=FOLDER`, adds tasks and workflows of your own. Each is a file NAME.json, as TheEye
exports it. docs/first-task.md shows how to write one. The command reads the folder when it starts: after a change,
start it again.

The sandbox keeps its jobs in .sandbox/. Ctrl-C stops everything; waiting requests still get their answers.
"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit status."""
    # The sandbox itself says what is wrong with a recipe.
    logging.getLogger("sandbox").addHandler(logging.NullHandler())
    folder: Path | None = _parser().parse_args(arguments).tasks
    own = load_recipes([folder] if folder else [])
    service_bind = os.environ.get("SYNC_BIND", "").strip() or "127.0.0.1:6090"
    with ExitStack() as listeners:  # both at once: they must not be the same
        for bind, name in ((SANDBOX_BIND, "the sandbox's port"), (service_bind, "SYNC_BIND")):
            listeners.enter_context(_listener(bind, name))
    try:
        with ExitStack() as stack:
            redis_folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="theeye-redis-"))
            programs = stack.enter_context(Programs())
            _say("starting; this takes about five seconds")
            redis_url = _redis(programs, Path(redis_folder))
            _serve(programs, service_bind, redis_url, folder, own)
    except Stopped:
        return 0
    except Failed as error:
        raise SystemExit(f"make run: {error}") from None


def _redis(programs: Programs, folder: Path) -> str:
    """Return the URL of Redis: SYNC_REDIS_URL, else that of a Redis started here; empty if there is none."""
    given = os.environ.get("SYNC_REDIS_URL")
    if given is not None:
        return given
    server = shutil.which("redis-server")
    if server is None:
        _say(NO_REDIS)
        return ""
    _say("  a Redis")
    path = folder / "redis.sock"  # a socket in a private folder: no port is used, and no other user can connect
    options = {"port": "0", "unixsocket": str(path), "dir": str(folder), "save": "", "loglevel": "warning"}
    command = [server, *(word for name, value in options.items() for word in (f"--{name}", value))]
    programs.start(command, os.environ, quiet=True)
    try:
        programs.wait_until(lambda: _listens(path), str(path))
    except Failed as error:
        programs.drop()
        _say(f"no Redis, because redis-server did not start: {error}")
        return ""
    return f"unix://{path}"


def _serve(programs: Programs, service_bind: str, redis_url: str, folder: Path | None, own: Recipes) -> NoReturn:
    """Start the sandbox and the service, print the commands, and wait for the end. Raise Stopped or Failed."""
    address, url = f"http://{SANDBOX_BIND}", f"http://{_reachable(service_bind)}"
    environment = {
        **os.environ,
        "SYNC_GATEWAY_URL": address,
        "SYNC_SUPERVISOR_URL": address,
        "SYNC_REDIS_URL": redis_url,
        "SYNC_BIND": service_bind,  # has precedence over PORT
        "no_proxy": "127.0.0.1",  # reach the sandbox directly, also on a machine with a proxy
    }
    _say("  the sandbox")
    folders = ["--tasks", str(folder)] if folder else []
    programs.start([sys.executable, "-m", "sandbox", "--bind", SANDBOX_BIND, *folders], environment, quiet=True)
    programs.wait_until(lambda: _answers(f"{address}/api/status"), address)
    _say("  the service")
    programs.start([sys.executable, "-m", "gunicorn"], environment)
    # Not /readyz: its 503 while the service starts would be a line in the log, and look like an error.
    programs.wait_until(lambda: _answers(f"{url}/healthz"), url)
    sys.stdout.write(ready_text(url, own, has_console=_answers(f"{url}/console", 400)))
    sys.stdout.flush()
    programs.watch()


def _listener(bind: str, name: str) -> socket.socket:
    """Return a socket that listens on an address, to check it. Raise SystemExit."""
    host, _, port = bind.rpartition(":")
    if not re.fullmatch(r"[^\s:/]*:[0-9]{1,5}", bind) or int(port) > 65535:
        raise SystemExit(f"make run: {name} must be HOST:PORT here, with a name or an IPv4 address")
    try:
        return socket.create_server((host, int(port)))
    except (OSError, UnicodeError) as error:  # UnicodeError: no host can have this name
        reason = str(getattr(error, "strerror", error)).partition(" (")[0]  # `create_server` adds words in parentheses
        hint = ". Is it running already?" if getattr(error, "errno", 0) == errno.EADDRINUSE else ""
        raise SystemExit(f"make run: cannot listen on {bind} ({name}): {reason}{hint}") from None


def _reachable(bind: str) -> str:
    """Return an address for clients on this machine, also if the service listens on all addresses."""
    host, _, port = bind.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("", "0.0.0.0") else bind


def _listens(path: Path) -> bool:
    try:
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            return probe.connect_ex(str(path)) == 0
    except OSError:  # the path of the temporary folder is too long for a socket
        return False


def _answers(url: str, below: int = 500) -> bool:
    """Return whether the URL answers with a status below `below`."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            # A kept-alive connection would delay the stop of the service by seconds.
            return session.get(url, timeout=2, headers={"Connection": "close"}).status_code < below
        except requests.RequestException:
            return False


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    if not any(path.glob("*.json")):
        raise argparse.ArgumentTypeError(f"{text!r} has no task: no file NAME.json, see docs/first-task.md")
    return path


def _say(text: str) -> None:
    sys.stdout.write(f"make run: {text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sandbox.demo",
        description="Serve TheEye Sync with the sandbox, a small TheEye. This is what `make run` starts.",
        epilog=HELP_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tasks", type=_folder, metavar="FOLDER", help="a folder with tasks and workflows of your own")
    return parser


if __name__ == "__main__":
    sys.exit(main())
