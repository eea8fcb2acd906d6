"""Run `python -m sandbox`."""

import argparse
import ipaddress
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from sandbox import (
    CUSTOMER,
    CUSTOMER_ID,
    PASSWORD,
    TOKEN,
    USER,
    ListenError,
    NotifierError,
    Sandbox,
    StoreError,
    Task,
    Workflow,
)


def main(arguments: list[str] | None = None) -> int:
    """Run a sandbox until SIGTERM or Ctrl-C; return the exit status."""
    logging.basicConfig(format="sandbox: %(message)s", stream=sys.stderr)
    options = _parser().parse_args(arguments)
    host, port = options.bind
    if not options.allow_remote and not _is_loopback(host):
        _complain(f"{host} is not a loopback address, and this runs scripts for anyone: add --allow-remote")
        return 2
    # Both signals raise KeyboardInterrupt, at any point of the code.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _serve(Sandbox((host, port), options.database, options.tasks, os.environ.get("SYNC_REDIS_URL", "")))
    except KeyboardInterrupt:
        return 0
    except (ListenError, NotifierError, StoreError) as error:
        _complain(str(error))
        return 1


def bind_address(text: str) -> tuple[str, int]:
    """Read HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _serve(sandbox: Sandbox) -> int:
    with sandbox:
        _say(sandbox)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            # A second signal must not interrupt the cleanup.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0


def _say(sandbox: Sandbox) -> None:
    lines = [
        f"the sandbox, a small TheEye: {sandbox.url} (gateway and supervisor)",
        f"customer  {CUSTOMER} ({CUSTOMER_ID})",
        f"token     {TOKEN}",
        f"user      {USER} / {PASSWORD}",
        "tasks",
        *_listed(sandbox.tasks),
        "workflows",
        *_listed(sandbox.workflows),
        "Ctrl-C stops it.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _listed(recipes: Mapping[str, Task | Workflow]) -> list[str]:
    each = sorted(recipes.values(), key=lambda recipe: recipe.id)
    return [f"  {recipe.id}  {recipe.name}: {recipe.description}".rstrip(": ") for recipe in each]


def _complain(message: str) -> None:
    sys.stderr.write(f"sandbox: {message}\n")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sandbox", description="Run the sandbox, a small TheEye.")
    parser.add_argument("--bind", type=bind_address, default="127.0.0.1:6080", metavar="HOST:PORT")
    parser.add_argument("--database", type=Path, default=Path(".sandbox/theeye.sqlite3"), metavar="PATH")
    parser.add_argument(
        "--tasks",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="DIR",
        help="folders with recipes of tasks and workflows",
    )
    parser.add_argument("--allow-remote", action="store_true", help="allow an address other than the loopback address")
    return parser


if __name__ == "__main__":
    sys.exit(main())
