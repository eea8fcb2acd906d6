"""What the tests of security share: the service before a stand-in, with small limits, and raw conversations with it."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from support.processes import Service
from support.settings import environment
from support.theeye import JOB, StandIn

HEAD = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\n".encode()

# gunicorn's configuration, with limits that a test can wait for
IMPATIENT = """
exec(compile(open("gunicorn.conf.py").read(), "gunicorn.conf.py", "exec"))
_before, keepalive = post_worker_init, {head:.0f}

def post_worker_init(worker):
    import app.serving.thread_worker, app.api.body
    app.api.body.BODY_SECONDS, app.api.body.BODY_PIECE = {body}, {piece}
    app.serving.thread_worker.HEAD_SECONDS = {head}
    _before(worker)
"""


@contextmanager
def impatient(
    theeye: StandIn,
    folder: Path,
    worker: str,
    body: float = 1.0,
    piece: int = 65536,
    head: float = 1.0,
    **env: str,
) -> Iterator[Service]:
    """The service with such limits for bodies and heads."""
    config = folder / "impatient.conf.py"
    config.write_text(IMPATIENT.format(body=body, piece=piece, head=head))
    with Service(environment(theeye) | env, worker=worker, args=["--config", str(config)]) as running:
        yield running


def talk(service: Service, data: bytes, timeout: float = 5.0) -> bytes:
    """All that comes back for these bytes until the service hangs up, which it has to do in time."""
    with socket.create_connection(("127.0.0.1", service.port), timeout) as sock:
        with suppress(ConnectionError):  # it may hang up before it has all
            sock.sendall(data)
        return rest(sock)


def rest(sock: socket.socket) -> bytes:
    """All that still comes, until the service hangs up."""
    got = b""
    try:
        while piece := sock.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def request(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """One request as bytes, its parts as they are written, after which the connection ends."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Host: x", "Connection: close", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
