"""Run `theeye-sync check` in this process, and read its report."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from click.testing import CliRunner

from app.cli import main
from support.settings import environment
from support.sockets import serving
from support.theeye import StandIn

SECRET = "tok-secret-0123456789"


def check(*arguments: str, stdin: str = "", **environ: str) -> tuple[int, str]:
    """Run the command once; return exit status and output, which must not contain a secret."""
    clean: dict[str, Any] = dict.fromkeys(name for name in os.environ if name.startswith("SYNC_"))
    ran = CliRunner().invoke(main, ["check", *arguments], stdin, {**clean, **environ})
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert SECRET not in ran.output
    assert "hunter2" not in ran.output
    return ran.exit_code, ran.output


def lines(output: str, subject: str) -> list[str]:
    """Return the lines about a subject, each with its level."""
    return [" ".join(line.split()) for line in output.splitlines() if line[6:].split(" ")[0] == subject]


def only(output: str, subject: str) -> str:
    [line] = lines(output, subject)
    return line


def finding(subject: str, status: int = 1, **environ: str) -> str:
    """Run the command, expect its exit status, and return the line about a subject."""
    got, output = check(**environ)
    assert got == status, output
    return only(output, subject)


def redis_lines(url: str, theeye: StandIn, status: int = 1, **environ: str) -> list[str]:
    got, output = check(**environment(theeye), SYNC_REDIS_URL=url, **environ)
    assert got == status, output
    return lines(output, "redis")


@contextmanager
def talker(words: bytes) -> Iterator[int]:
    """Run a server that sends the same bytes to every client."""

    def talk(sock: socket.socket) -> None:
        if sock.recv(4096):
            sock.sendall(words)

    with serving(talk) as port:
        yield port
