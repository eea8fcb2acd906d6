"""Run real processes for the tests: Redis, and the service under gunicorn."""

from __future__ import annotations

import functools
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any, Self

import pytest

from support.proc import accepts, children, group_pids

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def free_port() -> int:
    """Return a free TCP port, below those that the kernel gives to outgoing connections.

    No other test gets it while its server starts again, or while the test relies on nobody listening there: the
    workers of pytest-xdist have different ports, and each worker takes them in turn.
    """
    for port in _ports(os.getpid()):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("no TCP port is free")


@functools.cache
def _ports(process: int) -> Iterator[int]:
    """Return the ports of this process, in an order of its own: another checkout may run its tests here, too."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(20000 + worker % 8, 32000, 8)
    return itertools.cycle(random.sample(own, len(own)))


@contextmanager
def full_listener() -> Iterator[int]:
    """Yield a port whose queue is full, so that the next connection is neither accepted nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            yield listener.getsockname()[1]
        finally:
            for sock in waiting:
                sock.close()


def need(binary: str, package: str) -> str:
    """Return the path of a program. If it is missing, skip the test; on CI fail."""
    path = shutil.which(binary)
    if path is not None:
        return path
    missing = f"{binary} is not installed: apt-get install {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def wait_until(ready: Callable[[], bool], timeout: float, what: str) -> None:
    """Poll until a condition holds, for another process, which has no event. Raise AssertionError after `timeout`."""
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(0.01)


def text_of(path: Path) -> str:
    """Return a log, which may not exist yet."""
    return path.read_text(errors="replace") if path.exists() else ""


def whole_lines(path: Path) -> str:
    """Return a log without a line that is still being written: at the end of a page (4 KiB) half of it can be read."""
    text = text_of(path)
    return text[: text.rfind("\n") + 1]


class Process:
    """Run a subprocess in a process group of its own, with both streams in one file."""

    stop_timeout = 40.0

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="theeye-sync-")
        self.directory = Path(self._directory.name)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the process; if it does not come up, end it and print its log."""
        try:
            self.start()
        except BaseException:
            print(self.log_text())
            self.abandon()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.close()
        else:
            print(self.log_text())  # pytest shows this with the failure
            self.abandon()

    def start(self) -> None:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self._running().pid

    def launch(self, command: Sequence[str], **options: Any) -> None:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options
            )

    def log_text(self) -> str:
        has_ended = self._process is None or self._process.poll() is not None
        return text_of(self.directory / "log") if has_ended else whole_lines(self.directory / "log")

    def signal(self, number: int) -> None:
        self._running().send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM, without waiting."""
        self.signal(signal.SIGTERM)

    def wait(self, timeout: float = 40.0) -> int:
        """Wait for the end, and return the exit code. Raise AssertionError if the process does not end."""
        process = self._running()
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{process.args!r} still runs after {timeout} s:\n{self.log_text()}") from None

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL to the whole process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """Send SIGTERM and wait. Raise AssertionError if the process or one of its children does not end."""
        if self._process is None:
            return
        try:
            if self._process.poll() is None:
                self.thaw()
                self.terminate()
            self.wait(self.stop_timeout)
            wait_until(lambda: not group_pids(self.pid), 20, "the end of the child processes")
        finally:
            self.kill()
            self._process = None

    def close(self) -> None:
        try:
            self.stop()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End the process without raising: a failure to stop must not hide the test's own failure."""
        if self._process is not None:
            self.kill()
            self._process = None
        self._directory.cleanup()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the process was not started")
        return self._process

    def _check_early_exit(self) -> None:
        code = self._running().poll()
        if code is not None:
            raise AssertionError(f"it ended at once with {code}:\n{self.log_text()}")


class Redis(Process):
    """Run a real redis-server; it loses its data at its end unless it `keeps` them."""

    def __init__(self, password: str = "", keeps: bool = False, options: Sequence[str] = ()) -> None:
        super().__init__()
        self._password, self._keeps, self._options = password, "yes" if keeps else "no", options
        self._clients: list[Any] = []
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://{f':{self._password}@' if self._password else ''}127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        """Return a redis.Redis, which is closed together with the server."""
        from redis import Redis as Client

        client = Client.from_url(self.url, socket_timeout=5)
        self._clients.append(client)
        return client

    def start(self) -> None:
        """Start the server; start it again on the same port after stop() or kill()."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        options += ["--save", "", "--appendonly", self._keeps, "--appendfsync", "no", "--loglevel", "warning"]
        options += ["--requirepass", self._password] if self._password else []
        self.launch([need("redis-server", "redis-server"), *options, *self._options])
        wait_until(self._answers, 30.0, "redis-server")

    def abandon(self) -> None:
        for client in self._clients:
            client.close()
        super().abandon()

    def _answers(self) -> bool:
        self._check_early_exit()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as sock:
            sock.sendall(b"PING\r\n")
            return sock.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        return False


@contextmanager
def user_of(redis: Redis, rights: str) -> Iterator[str]:
    """Create a user with these rights; yield the URL with its password."""
    client = redis.client()
    client.execute_command("SCRIPT", "FLUSH")
    client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">hunter2", *rights.split())
    yield f"redis://app:hunter2@127.0.0.1:{redis.port}"
    client.execute_command("ACL", "DELUSER", "app")


class Service(Process):
    """Run the service as its users do: with gunicorn in the checkout."""

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        worker: str = "gevent",
        workers: int = 1,
        threads: int | None = None,
        args: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.port = free_port()
        self.worker = worker
        self._workers = workers
        self._env = clean_environment() | {"SYNC_BIND": f"127.0.0.1:{self.port}"} | dict(env or {})
        ours = {"gevent": "app.serving.gevent_worker.Worker", "gthread": "app.serving.thread_worker.Worker"}
        worker_class = ours.get(worker, worker)
        self._command = [sys.executable, "-m", "gunicorn", "--worker-class", worker_class, "--workers", str(workers)]
        self._command += ["--threads", str(threads)] if threads is not None else []
        self._command += args

    def start(self) -> None:
        self.launch_only()
        wait_until(self._is_healthy, 60.0, "GET /healthz")
        wait_until(self._all_are_up, 60.0, "all workers")

    def launch_only(self) -> None:
        """Start the service without waiting until it is up."""
        self.launch(self._command, cwd=CHECKOUT, env=self._env)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> RawResponse:
        """Send one request on a connection of its own; see request_bytes."""
        return raw_request("127.0.0.1", self.port, request_bytes(method, target, body, **headers))

    def worker_pids(self) -> list[int]:
        """Return the process ids of gunicorn's workers."""
        return children(self.pid)

    def _all_are_up(self) -> bool:
        """Return whether all workers are up: one that is not gets no connections, and may miss a signal."""
        self._check_early_exit()
        with suppress(OSError):  # a worker may end meanwhile
            pids = self.worker_pids()
            return len(pids) >= self._workers and all(accepts(pid, self.port) for pid in pids)
        return False

    def _is_healthy(self) -> bool:
        self._check_early_exit()
        with suppress(OSError):
            return raw_request("127.0.0.1", self.port, request_bytes("GET", "/healthz"), 2).status == 200
        return False


CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that change how the service runs."""
    dropped = ("SYNC_", "GUNICORN_", "PYTHONWARNINGS", "WEB_CONCURRENCY", *CERTIFICATES)
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(dropped) and not name.lower().endswith("_proxy")
    }


def run_python(*arguments: str, status: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout, for example `run_python("-c", program)`, and expect its exit status."""
    command, env = [sys.executable, *arguments], clean_environment() | environ
    ran = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=100)
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran


@dataclass(frozen=True)
class RawResponse:
    """Hold a response as received; it is not `complete` if the connection ended too early."""

    status_line: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = True

    @property
    def status(self) -> int:
        return int(self.status_line.split()[1])

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


def request_bytes(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of one request with acme's token, its parts as written; leave out an empty header.

    An underscore in a header's name means a hyphen.
    """
    sent = {"Host": "x", "Authorization": "Bearer tok-acme", "Connection": "close"}
    sent |= {"Content-Type": "application/json"} if body else {}
    sent |= {"Content-Length": str(len(body))} if body or method != "GET" else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def raw_request(host: str, port: int, data: bytes, timeout: float = 60.0) -> RawResponse:
    """Send these bytes unchanged, and read one response."""
    with socket.create_connection((host, port), timeout) as sock:
        sock.sendall(data)
        return read_response(sock, "HEAD" if data.startswith(b"HEAD ") else "GET")


def read_response(sock: socket.socket, method: str = "GET") -> RawResponse:
    """Return the next final response. Raise ConnectionError without one, HTTPException if it is not HTTP."""
    with HTTPResponse(sock, method=method) as response:
        response.begin()
        status_line = f"HTTP/{response.version / 10} {response.status} {response.reason}"
        try:
            return RawResponse(status_line, response.getheaders(), response.read())
        except IncompleteRead as cut:
            return RawResponse(status_line, response.getheaders(), cut.partial, complete=False)
