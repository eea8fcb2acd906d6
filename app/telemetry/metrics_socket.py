"""Serve the metrics of all processes to Prometheus, on a separate socket."""

import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from app.telemetry.metrics_folder import FOLDER_VARIABLE

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

        if environ.get("PATH_INFO") != "/metrics":  # prometheus_client answers every path
            start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "10")])
            return [b"Not Found\n"]
        if environ["REQUEST_METHOD"] == "HEAD":  # prometheus_client does not know HEAD; gunicorn drops the body
            environ = environ | {"REQUEST_METHOD": "GET"}
        registry = CollectorRegistry()
        registry.register(AllProcesses())
        answered: Iterable[bytes] = make_wsgi_app(registry)(environ, start_response)
        return answered


class AllProcesses:
    """Collect the metrics of all processes.

    prometheus_client's own collector fails if a file is empty (prometheus/client_python#1199): a process that starts
    makes its files and fills them a moment later, and one that is killed in that moment leaves an empty file for ever.
    """

    def collect(self) -> Iterable[Any]:
        """Return the sums and values of the files that are not empty."""
        from prometheus_client.multiprocess import MultiProcessCollector

        files = [str(file) for file in Path(os.environ[FOLDER_VARIABLE]).glob("*.db") if _is_filled(file)]
        metrics: Iterable[Any] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return metrics


def _is_filled(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:  # its process has just ended
        return False


def _addresses(host: str) -> frozenset[str]:
    """Return the IP addresses of a host name."""
    return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
