"""Exchange raw bytes with a service, for requests that no HTTP client would send."""

import socket
from collections.abc import Mapping
from contextlib import suppress

from support.processes import RawResponse, Service
from support.theeye import JOB, TASK

HEAD = f"POST {JOB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok-acme\r\n".encode()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"


def request(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return the bytes of one request, its parts as written, with `Connection: close`."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Host: x", "Connection: close", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def send(
    service: Service, target: str = JOB, body: bytes = b"[1]", method: str = "POST", **headers: str
) -> RawResponse:
    """Send a request with acme's token, and return the answer; leave out an empty header; `_` means a hyphen."""
    return service.ask(method, target, body, **{"Content_Type": "application/json", **headers})


def run(
    service: Service, key: str | None = None, query: str = "", body: bytes = b"[1]", task: str = TASK, **headers: str
) -> RawResponse:
    """Run a task with this Idempotency-Key, or without the header for None."""
    target = f"/acme/task/{task}/job{query}"
    return send(service, target, body, **headers if key is None else {"Idempotency_Key": key or " ", **headers})


def talk(service: Service, data: bytes, timeout: float = 5.0, ends: bool = False) -> bytes:
    """Send these bytes, and return everything that comes back until the service closes the connection in time.

    With `ends` the client closes its sending side.
    """
    with socket.create_connection(("127.0.0.1", service.port), timeout) as sock:
        with suppress(OSError):  # it may hang up before it has all
            sock.sendall(data)
            if ends:
                sock.shutdown(socket.SHUT_WR)
        return rest(sock)


def rest(sock: socket.socket) -> bytes:
    """Return everything that arrives until the service closes the connection."""
    got = b""
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            got += piece
    return got
