"""Use the standard streams: any of them may be closed, standard output may be a broken pipe or a full disk."""

import os
import sys
from contextlib import suppress
from typing import BinaryIO, TextIO

import click

from app.client.misuse import Misuse
from app.telemetry.text import escape


def say(words: str) -> None:
    """Write a line to standard error, with control characters escaped. If that fails, the answer still counts."""
    with suppress(OSError):
        click.echo(escape(words), err=True)


def write(data: bytes) -> str:
    """Write to standard output. Return the error, or an empty text; a pipe closed by `| head` is no error."""
    stdout: TextIO | None = sys.stdout
    if stdout is None:  # `>&-`
        return "standard output is closed"
    try:
        click.echo(data, nl=False)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())  # otherwise Python writes again when it exits
        return "" if isinstance(error, BrokenPipeError) else str(error.strerror)
    return ""


def stdin() -> BinaryIO:
    """Return standard input, for bytes. Raise Misuse if it is closed."""
    stream: TextIO | None = sys.stdin
    if stream is None:  # `<&-`
        raise Misuse("standard input is closed")
    return stream.buffer


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is open and a terminal."""
    return stream is not None and stream.isatty()
