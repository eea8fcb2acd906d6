"""Conversations with a service byte by byte, for what no HTTP client would send."""

import socket
from collections.abc import Mapping
from contextlib import suppress

from support.processes import RawResponse, Service
from support.theeye import JOB, TASK

HEAD = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\n".encode()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"


def request(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """One request as bytes, its parts as they are written, after which the connection ends."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Host: x", "Connection: close", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def send(
    service: Service, target: str = JOB, body: bytes = b"[1]", method: str = "POST", **headers: str
) -> RawResponse:
    """The answer to a request with acme's token; an empty header is not sent, an underscore stands for a hyphen."""
    return service.ask(method, target, body, **{"Content_Type": "application/json", **headers})


def run(
    service: Service, key: str | None = None, query: str = "", body: bytes = b"[1]", task: str = TASK, **headers: str
) -> RawResponse:
    """Run a task, with this Idempotency-Key (None: without the header)."""
    target = f"/acme/task/{task}/job{query}"
    return send(service, target, body, **headers if key is None else {"Idempotency_Key": key or " ", **headers})


def talk(service: Service, data: bytes, timeout: float = 5.0, ends: bool = False) -> bytes:
    """All that comes back for these bytes until the service hangs up, which it has to do in time.

    With `ends` the client says that nothing follows.
    """
    with socket.create_connection(("127.0.0.1", service.port), timeout) as sock:
        with suppress(OSError):  # it may hang up before it has all
            sock.sendall(data)
            if ends:
                sock.shutdown(socket.SHUT_WR)
        return rest(sock)


def rest(sock: socket.socket) -> bytes:
    """All that still comes, until the service hangs up."""
    got = b""
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            got += piece
    return got
