"""Read a token from the environment, standard input or a file. Other users can read the arguments of a process."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import click

from app.client.misuse import Misuse
from app.client.streams import stdin
from app.telemetry.tokens import is_token


def token_option(variable: str) -> Callable[[Any], Any]:
    """Return the option `--token -`, which refuses any other value: a token is never an argument."""

    def only_dash(context: click.Context, parameter: click.Parameter, value: str | None) -> bool:
        if value not in (None, "-"):
            raise Misuse(f"a token is never an argument: use `--token -`, or {variable}")
        return value is not None

    words = "Read a token from standard input."
    return click.option("--token", "from_stdin", metavar="-", callback=only_dash, help=words)


def read_token(variable: str, from_stdin: bool, file: str | None = None) -> str | None:
    """Return the token, or None if none is given. Raise Misuse."""
    if from_stdin and file is not None:
        raise Misuse("a token comes from standard input or from a file, not from both")
    if not from_stdin and file is None and not os.environ.get(variable, "").strip():
        return None
    given = _line_of(stdin()) if from_stdin else os.environ.get(variable, "") if file is None else _read(file)
    if not is_token(given.strip()):
        raise Misuse("the token must be one line of visible ASCII characters")
    return given.strip()


def _line_of(stream: BinaryIO) -> str:
    return stream.readline().decode("ascii", "replace")


def _read(file: str) -> str:
    """Return the text of a file that only its owner may read. Raise Misuse for any other file."""
    try:
        with Path(file).open(encoding="ascii", errors="replace") as opened:
            if os.fstat(opened.fileno()).st_mode & 0o077:
                raise Misuse("other users may read the token's file: run `chmod 600` on it")
            return opened.read(10_000)
    except OSError as error:
        raise Misuse(f"the token's file cannot be read: {error.strerror}") from None
