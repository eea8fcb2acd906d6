"""Serve HTTP with werkzeug's threaded server, extended by keep-alive connections."""

import contextlib
import socket
import threading
import time
from typing import Any

from flask import Flask
from werkzeug import Response
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

BACKLOG = 512
_GRACE_SECONDS = 1.0


class ListenError(OSError):
    """Report an address that cannot be used; the message says why and what to do."""


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise small answers on a kept-alive connection wait 40 ms for the client's ACK.
    disable_nagle_algorithm = True
    wbufsize = 65536

    def run_wsgi(self) -> None:
        """Answer one request and keep the connection, which werkzeug's own method closes."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        response = Response.from_app(self.server.app, self.make_environ(), buffered=True)
        # The application reads every body, except one that is too large: its bytes are left on the connection.
        self.close_connection = self.close_connection or response.status_code == 413
        self._send(response)

    def _send(self, response: Response) -> None:
        body = response.get_data()
        self.send_response(response.status_code, response.status.partition(" ")[2])
        for name, value in response.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: a URL may contain a token."""

    def log_error(self, format: str, *args: Any) -> None:
        """Log nothing: a malformed request line may contain a token, too."""


class Server(ThreadedWSGIServer):
    """Serve until closed; closing ends all threads and connections."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, host: str, port: int, app: Flask) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        with _listen(host, port) as listener:
            super().__init__(host, listener.getsockname()[1], app, _Handler, fd=listener.fileno())
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="sandbox-http")

    def start(self) -> None:
        """Serve in a thread; the kernel accepts connections since the construction."""
        self._thread.start()

    def stop(self) -> None:
        """Wait up to a second for running requests, then close every connection."""
        if self._thread.is_alive():
            self.shutdown()
            self._cut(socket.SHUT_RD)
            deadline = time.monotonic() + _GRACE_SECONDS
            while self._connections() and time.monotonic() < deadline:
                time.sleep(0.005)
            self._cut(socket.SHUT_RDWR)
            self._thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def _connections(self) -> list[socket.socket]:
        with self._lock:
            return list(self._open)

    def _cut(self, how: int) -> None:
        for connection in self._connections():
            with contextlib.suppress(OSError):
                connection.shutdown(how)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        advice = "stop what is using it, or choose another one with --bind"
        raise ListenError(f"cannot listen on {host} port {port} ({error}): {advice}") from error
    return listener
