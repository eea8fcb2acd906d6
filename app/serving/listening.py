"""Refuse addresses on which gunicorn would end with a traceback."""

import os
import socket
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def refuse_unusable(addresses: Iterable[Any]) -> None:
    """Raise SystemExit for a file descriptor that is no socket, and for the path of a file that is none."""
    for address in addresses:
        if isinstance(address, int):
            _refuse_no_socket(address)
        elif isinstance(address, str) and _is_other_file(address):
            raise SystemExit(_words(f"unix:{address}", "a file or directory that is no socket"))


def _refuse_no_socket(number: int) -> None:
    try:
        socket.socket(fileno=os.dup(number)).close()
    except OSError as error:
        reason = f"{error.strerror} (the program that starts the service has to pass it an open socket)"
        raise SystemExit(_words(f"fd://{number}", reason)) from None


def _is_other_file(path: str) -> bool:
    try:
        return not stat.S_ISSOCK(Path(path).stat().st_mode)
    except (OSError, ValueError):  # there is none, or its name begins with NUL (an abstract socket)
        return False


def _words(address: str, reason: str) -> str:
    return f"theeye-sync: SYNC_BIND or SYNC_METRICS_BIND: cannot listen on {address}: {reason}"
