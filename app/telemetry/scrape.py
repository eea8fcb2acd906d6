"""`/metrics`, on a socket of its own: nothing else is served there, and it is served nowhere else."""

import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

WILDCARDS = frozenset({"0.0.0.0", "::"})


class Scrape:
    """The WSGI application behind the metrics' socket."""

    def __init__(self, bind: str) -> None:
        """`bind`: HOST:PORT or unix:PATH."""
        self._path = os.path.abspath(bind[5:].removeprefix("//")) if bind.startswith("unix:") else ""  # noqa: PTH100
        host, _, self._port = ("", "", "") if self._path else bind.rpartition(":")
        self._hosts = frozenset() if self._path else _addresses(host.strip("[]"))

    def takes(self, environ: dict[str, Any]) -> bool:
        """Whether the request came in on the metrics' socket; no header has a say in it."""
        if not self._path and environ.get("SERVER_PORT") != self._port:
            return False
        sock: socket.socket | None = environ.get("gunicorn.socket")
        try:
            name = sock.getsockname() if sock is not None else None
        except OSError:  # the client has gone
            return False
        if self._path or not isinstance(name, tuple):
            return bool(self._path) and isinstance(name, str) and os.path.abspath(name) == self._path  # noqa: PTH100
        return str(name[1]) == self._port and (bool(self._hosts & WILDCARDS) or _plain(name[0]) in self._hosts)

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The numbers of all processes; 404 for any other path."""
        if environ.get("PATH_INFO") != "/metrics":
            return _plain_text(start_response, "404 Not Found", [])
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return _plain_text(start_response, "405 Method Not Allowed", [("Allow", "GET, HEAD")])
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        body = generate_latest(registry)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _addresses(host: str) -> frozenset[str]:
    return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))


def _plain(address: str) -> str:
    """An IPv4 address that came in on an IPv6 socket, as itself."""
    return address.removeprefix("::ffff:")


def _plain_text(start_response: Callable[..., Any], status: str, headers: list[tuple[str, str]]) -> Iterable[bytes]:
    body = f"{status[4:]}\n".encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers])
    return [body]
