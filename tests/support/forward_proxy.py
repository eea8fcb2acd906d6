"""Run an HTTP proxy on a real socket: it opens tunnels for CONNECT, and forwards requests for whole URLs."""

import base64
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, parse_headers
from urllib.parse import urlsplit

from support.sockets import relay, serving


@dataclass
class ForwardProxy:
    """Hold how the proxy behaves, and the requests that it got."""

    credentials: str = ""  # the user:password that it requires
    refusal: int = 0  # the status that it answers instead of forwarding
    carried_out: bool = False  # forward first, then answer with the refusal
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # request line and headers
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return [line for line, _ in self.heads]

    def serve(self, sock: socket.socket) -> None:
        """Answer the requests of one connection; after a CONNECT relay its bytes."""
        with sock.makefile("rb") as stream:
            while line := stream.readline().decode().rstrip():
                headers = {name.lower(): value for name, value in parse_headers(stream).items()}
                self.heads.append((line, headers))
                method, target, _ = line.split()
                body = stream.read(int(headers.get("content-length", 0)))
                refusal = self._refuses(headers)
                if method == "CONNECT" and not refusal:
                    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    relay(sock, int(target.rpartition(":")[2]))
                    return
                passes = method != "CONNECT" and (not refusal or self.carried_out)
                status, answer = pass_on(method, target, headers, body) if passes else (0, b"")
                answer = b"<html>the proxy</html>" if refusal else answer
                sock.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (refusal or status, len(answer)) + answer)

    def _refuses(self, headers: dict[str, str]) -> int:
        """Return the status of a refusal, or 0."""
        wanted = f"Basic {base64.b64encode(self.credentials.encode()).decode()}"
        if self.credentials and headers.get("proxy-authorization") != wanted:
            return 407
        return self.refusal


def pass_on(method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Ask the server that a whole URL names; the status and body of its answer."""
    url = urlsplit(target)
    headers = {name: value for name, value in headers.items() if not name.startswith("proxy-")}
    with closing(HTTPConnection(url.hostname or "", url.port, timeout=10)) as connection:
        connection.request(method, target.partition(url.netloc)[2], body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


@contextmanager
def forward_proxy(credentials: str = "", refusal: int = 0, carried_out: bool = False) -> Iterator[ForwardProxy]:
    """A proxy that listens."""
    proxy = ForwardProxy(credentials, refusal, carried_out)
    with serving(proxy.serve) as proxy.port:
        yield proxy
