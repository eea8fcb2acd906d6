"""An HTTP proxy on a real socket: it opens tunnels for CONNECT, and passes on requests for whole URLs."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from support.sockets import relay


@dataclass
class ForwardProxy:
    """What it saw, and how it is to behave."""

    port: int = 0
    credentials: str = ""  # user:password that it wants
    refusal: int = 0  # the status with which it answers instead of passing on
    carried_out: bool = False  # pass on first, and answer with the refusal then
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # request line and headers

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return [line for line, _ in self.heads]

    def refuses(self, headers: dict[str, str]) -> int:
        """The status to refuse with, or 0."""
        wanted = f"Basic {base64.b64encode(self.credentials.encode()).decode()}"
        if self.credentials and headers.get("proxy-authorization") != wanted:
            return 407
        return self.refusal


@contextmanager
def forward_proxy(credentials: str = "", refusal: int = 0, carried_out: bool = False) -> Iterator[ForwardProxy]:
    """A proxy that listens."""
    proxy = ForwardProxy(0, credentials, refusal, carried_out)

    class Handler(_Handler):
        seen = proxy

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    """One connection from a client."""

    protocol_version = "HTTP/1.1"
    seen: ForwardProxy

    def do_CONNECT(self) -> None:
        if status := self._refused():
            self._answer(status, b"")
            return
        self.send_response_only(200)
        self.end_headers()
        relay(self.connection, int(self.path.rpartition(":")[2]))
        self.close_connection = True

    def do_GET(self) -> None:
        refusal = self._refused()
        status, body = self._pass_on() if not refusal or self.seen.carried_out else (refusal, b"")
        self._answer(refusal or status, b"<html>the proxy</html>" if refusal else body)

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _refused(self) -> int:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.heads.append((self.requestline, headers))
        return self.seen.refuses(headers)

    def _pass_on(self) -> tuple[int, bytes]:
        url = urlsplit(self.path)
        connection = HTTPConnection(url.hostname or "", url.port, timeout=10)
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            connection.request(self.command, self.path.partition(url.netloc)[2], body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
