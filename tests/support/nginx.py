"""nginx as docs/hosting.md has an ordinary user start it: the files of deploy/, with ports and places filled in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from support.host_checks import CORS, DEPLOY
from support.processes import Process, RawResponse, free_port, need, wait_until

SHAPE = ["message", "statusCode", "name", "code", "status"]


class Nginx(Process):
    """nginx in front of these ports; `changes` are further replacements in deploy/nginx.conf, and each must hit."""

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

    def __enter__(self) -> Nginx:
        try:
            self.launch([need("nginx", "nginx-light"), "-p", str(self.directory), "-c", "nginx.conf"], **self._nobody())
            wait_until(self._listens, 10, "nginx")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.log_text(), self.access_log())
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def access_log(self) -> str:
        path = self.directory / "theeye-sync.access.log"
        return path.read_text() if path.exists() else ""

    def _nobody(self) -> dict[str, Any]:
        """nginx never needs to be root: where the tests are, it is started as nobody."""
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


class Upstream:
    """Stands in for gunicorn: counts the requests that reach it, and says one thing to all, or hangs up on them."""

    def __init__(self, answer: bytes = b"") -> None:
        self.heads: list[str] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, suppress(OSError):
                sock.settimeout(5)
                self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := sock.recv(65536)):
                return
            head += piece
        self.heads.append(head.decode())
        sock.sendall(self._answer)


def make_certificate(directory: Path) -> None:
    """A self-signed one for `localhost`, under the names that deploy/nginx.conf has."""
    command = [need("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", "privkey.pem", "-out", "fullchain.pem"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


def check_refusal(got: RawResponse, status: int, code: str, cors: list[tuple[str, str]] = CORS) -> None:
    """An answer of nginx's own: TheEye's shape, CORS headers, and a request id to ask about."""
    body = json.loads(got.body)
    assert list(body) == SHAPE
    assert (got.status, body["statusCode"], body["status"], body["code"]) == (status, status, status, code)
    assert body["name"] == ("ClientError" if status < 500 else "ServerError")
    assert got.header("Content-Type") == "application/json; charset=utf-8"
    assert [header for header in got.headers if header[0].startswith("Access-Control-")] == cors
    assert got.header("X-Request-Id")
