"""Serve the metrics of all processes to Prometheus, on a separate socket."""

import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

WILDCARDS = frozenset({"0.0.0.0", "::"})


class MetricsSocket:
    """Serve `/metrics` at SYNC_METRICS_BIND: at no other address, and no other path at this one."""

    def __init__(self, bind: str) -> None:
        """Read the address: HOST:PORT or unix:PATH."""
        self._path = os.path.abspath(bind[5:].removeprefix("//")) if bind.startswith("unix:") else ""  # noqa: PTH100
        host, _, self._port = ("", "", "") if self._path else bind.rpartition(":")
        self._hosts = frozenset() if self._path else _addresses(host.strip("[]"))

    def takes(self, environ: dict[str, Any]) -> bool:
        """Return whether the request arrived on this socket; ignore its headers, which the client writes."""
        if not self._path and environ.get("SERVER_PORT") != self._port:
            return False
        sock: socket.socket | None = environ.get("gunicorn.socket")
        try:
            name = sock.getsockname() if sock is not None else None
        except OSError:  # the client has gone
            return False
        if self._path or not isinstance(name, tuple):
            return bool(self._path) and isinstance(name, str) and os.path.abspath(name) == self._path  # noqa: PTH100
        host = name[0].removeprefix("::ffff:")  # an IPv4 address on an IPv6 socket
        return str(name[1]) == self._port and (bool(self._hosts & WILDCARDS) or host in self._hosts)

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer `/metrics` with the metrics of all processes, in the format that the client accepts."""
        from prometheus_client import CollectorRegistry, make_wsgi_app
        from prometheus_client.multiprocess import MultiProcessCollector

        if environ.get("PATH_INFO") != "/metrics":  # prometheus_client answers every path
            start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "10")])
            return [b"Not Found\n"]
        if environ["REQUEST_METHOD"] == "HEAD":  # prometheus_client does not know HEAD; gunicorn drops the body
            environ = environ | {"REQUEST_METHOD": "GET"}
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        answered: Iterable[bytes] = make_wsgi_app(registry)(environ, start_response)
        return answered


def _addresses(host: str) -> frozenset[str]:
    """Return the IP addresses of a host name."""
    return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
