"""Run the client's commands in this process, and cut a service's connections where a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from app.cli import main
from support.sockets import relay, serving
from support.theeye import TASK

HERE = f"acme/{TASK}"
NEVER = b"no piece of an answer has this"


def command(url: str, *arguments: str, stdin: bytes = b"", **environ: str) -> Result:
    """Run `theeye-sync` with acme's token against a service."""
    variables = {"SYNC_URL": url, "SYNC_TOKEN": "tok-acme", **environ}
    return CliRunner().invoke(main, arguments, input=stdin, env=variables)


@contextmanager
def cutting(port: int, *marks: bytes) -> Iterator[str]:
    """Yield the URL of a proxy in front of a service; it cuts each connection just before the next mark.

    An empty mark cuts before the first byte. Connections after the last mark are not cut.
    """
    left, lock = list(marks), threading.Lock()

    def serve(client: socket.socket) -> None:
        with lock:
            mark = left.pop(0) if left else NEVER

        def send(sock: socket.socket, piece: bytes) -> None:
            if mark in piece:
                sock.sendall(piece[: piece.index(mark)])  # a busy proxy gets several events in one piece
                sock.shutdown(socket.SHUT_RDWR)
                raise ConnectionError("cut, as the test says")
            sock.sendall(piece)

        relay(client, port, send)

    with serving(serve) as own:
        yield f"http://127.0.0.1:{own}"


def body_length(head: bytes) -> int:
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lengths[0]) if lengths else 0


@contextmanager
def recorder(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Run a server that gives these answers, the last to all further requests; yield its URL and the requests' heads.

    An empty answer cuts the connection.
    """
    heads: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        with sock.makefile("rb") as stream:
            heads.append(b"".join(iter(stream.readline, b"\r\n")))
            stream.read(body_length(heads[-1]))  # else the end of the connection may overtake the answer
            sock.sendall(answers[min(len(heads), len(answers)) - 1])

    with serving(serve) as port:
        yield f"http://127.0.0.1:{port}", heads
