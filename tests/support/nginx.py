"""Run nginx as an ordinary user, as in docs/hosting.md: with the files of deploy/, ports and paths filled in."""

import json
import os
import socket
from contextlib import ExitStack, suppress
from typing import Any, Self

from support.host_checks import CORS, DEPLOY
from support.processes import Process, RawResponse, free_port, need, wait_until, whole_lines
from support.sockets import serving

SHAPE = ["message", "statusCode", "name", "code", "status"]

UNDER_SYNC = {  # the changes that deploy/nginx.conf names for a service below a path of nginx
    "location / {": "location /sync/ {",
    "http://theeye_sync;": "http://theeye_sync/;",
    'X-Forwarded-Prefix ""': "X-Forwarded-Prefix /sync",
}


class Nginx(Process):
    """Run nginx in front of these ports; each replacement in `changes` must match in deploy/nginx.conf."""

    def __init__(self, *upstreams: int, changes: dict[str, str] | None = None) -> None:
        super().__init__()
        self.port = free_port()
        text = (DEPLOY / "nginx.conf").read_text()
        for old, new in (self._filled_in(upstreams) | (changes or {})).items():
            assert old in text, old
            text = text.replace(old, new)
        (self.directory / "theeye-sync.conf").write_text(text)
        (self.directory / "nginx.conf").write_text((DEPLOY / "nginx-alone.conf").read_text())

    def _filled_in(self, upstreams: tuple[int, ...]) -> dict[str, str]:
        changes = {"listen 80;": f"listen 127.0.0.1:{self.port};", "/var/log/nginx/": f"{self.directory}/"}
        changes["server 127.0.0.1:6090"] = f"server 127.0.0.1:{upstreams[0]}"
        changes["/etc/ssl/theeye-sync/"] = f"{self.directory}/"
        if len(upstreams) > 1:
            changes["#server 127.0.0.1:6091"] = f"server 127.0.0.1:{upstreams[1]}"
        return changes

    def start(self) -> None:
        self.launch([need("nginx", "nginx-light"), "-p", str(self.directory), "-c", "nginx.conf"], **self._nobody())
        wait_until(self._listens, 30, "nginx")

    def log_text(self) -> str:
        return super().log_text() + self.access_log()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def access_log(self) -> str:
        return whole_lines(self.directory / "theeye-sync.access.log")

    def _nobody(self) -> dict[str, Any]:
        """Return options to start nginx as `nobody` if the tests run as root: it must not need root."""
        if os.geteuid() != 0:
            return {}
        for path in (self.directory, *self.directory.iterdir()):
            os.chown(path, 65534, 65534)
        return {"user": 65534, "group": 65534, "extra_groups": []}

    def _listens(self) -> bool:
        self._check_early_exit()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class Upstream(ExitStack):
    """Simulate gunicorn: count the requests, and give one answer to all, or close the connection."""

    def __init__(self, answer: bytes = b"") -> None:
        super().__init__()
        self.heads: list[str] = []
        self._answer = answer

    def __enter__(self) -> Self:
        self.port = self.enter_context(serving(self._serve))
        return self

    def _serve(self, sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := sock.recv(65536)):
                return
            head += piece
        self.heads.append(head.decode())
        sock.sendall(self._answer)


def check_refusal(got: RawResponse, status: int, code: str, cors: list[tuple[str, str]] = CORS) -> None:
    """Check an answer of nginx itself: TheEye's shape, CORS headers, and a request id."""
    body = json.loads(got.body)
    assert list(body) == SHAPE
    assert (got.status, body["statusCode"], body["status"], body["code"]) == (status, status, status, code)
    assert body["name"] == ("ClientError" if status < 500 else "ServerError")
    assert got.header("Content-Type") == "application/json; charset=utf-8"
    assert [header for header in got.headers if header[0].startswith("Access-Control-")] == cors
    assert got.header("X-Request-Id")
