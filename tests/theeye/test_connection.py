"""Test the one deadline of a whole call over TLS, where every byte wakes the reader: in threads and under gevent."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from threading import Event

import pytest
from support.processes import CHECKOUT, clean_environment
from support.sockets import relay, serving
from support.theeye import StandIn
from support.tls import make_certificate, tls_server

SECONDS_PER_BYTE = 0.02  # a handshake takes 40 s, an answer 8 s
DEADLINE = 0.5
HANGS = 6.0  # seconds after which a call has not kept to its deadline, however busy the machine is

CALLS = """
import sys
if sys.argv[1] == "gevent":
    from gevent import monkey; monkey.patch_all()
from time import monotonic
from app.theeye.transport import Transport, TransportError
def call(transport, timeout=None):
    began = monotonic()
    try:
        said = transport.call("POST", "/x", body=b"[]", timeout=timeout).status
    except TransportError as error:
        said = f"{type(error).__name__}: {error}"
    print(said, monotonic() - began, sep="|", flush=True)
transport = Transport(sys.argv[2], 20, 20, 1000)
call(transport)
input()
call(transport, float(sys.argv[3]))
call(Transport(sys.argv[2], float(sys.argv[3]), 60, 1000))
"""


@contextmanager
def dripping(port: int) -> Iterator[tuple[int, Event]]:
    """Yield a port that leads to another one, and an event after which the answers come byte by byte."""
    drips = Event()

    def send(client: socket, data: bytes) -> None:
        if not drips.is_set():
            client.sendall(data)
            return
        for start in range(len(data)):
            client.sendall(data[start : start + 1])
            time.sleep(SECONDS_PER_BYTE)

    with serving(lambda client: relay(client, port, send)) as its_port:
        yield its_port, drips


@pytest.mark.parametrize("worker", ["gevent", "threads"])
def test_a_dripping_answer_and_handshake_end_at_the_deadline(worker: str, theeye: StandIn, tmp_path: Path) -> None:
    if worker == "gevent":
        pytest.importorskip("gevent")
    certificate = make_certificate(tmp_path)
    with (
        tls_server(certificate, theeye) as url,
        dripping(int(url.rpartition(":")[2])) as (port, drips),
        subprocess.Popen(
            [sys.executable, "-c", CALLS, worker, f"https://127.0.0.1:{port}", str(DEADLINE)],
            cwd=CHECKOUT,
            env=clean_environment() | {"SSL_CERT_FILE": str(certificate[0])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdin is not None
        first = process.stdout.readline()
        drips.set()
        process.stdin.write("\n")
        process.stdin.flush()
        answer, handshake = process.stdout.readline(), process.stdout.readline()
        assert process.wait(30) == 0
    assert first.startswith("404|")
    for said, words in ((answer, "AnswerLost: timed out"), (handshake, "NotSent: cannot connect: timed out")):
        text, seconds = said.split("|")
        assert text == words
        assert DEADLINE - 0.01 < float(seconds) < HANGS
