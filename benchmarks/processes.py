"""Start the processes of a benchmark; they end with the block that started them."""

import http.client
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tests"))  # the tests' helpers start the same processes

from support.processes import Process, Redis, Service, free_port, wait_until  # noqa: E402

from benchmarks.theeye_documents import task_id  # noqa: E402

__all__ = [
    "CHECKOUT",
    "Client",
    "Redis",
    "Service",
    "TheEye",
    "client",
    "load_tool",
    "put_away",
    "running",
    "task_id",
    "wait_until",
    "wrk",
]


class TheEye(Process):
    """Run benchmarks.theeye."""

    def __init__(self, redis_port: int) -> None:
        """Choose a port; listen on it after `start`."""
        super().__init__()
        self.port = free_port()
        self._redis_port = redis_port

    def start(self) -> None:
        """Start the process, and return when it answers."""
        options = ["--port", str(self.port), "--redis-port", str(self._redis_port)]
        self.launch([sys.executable, "-m", "benchmarks.theeye", *options], cwd=CHECKOUT)
        wait_until(self._answers, 10, "benchmarks.theeye")

    @property
    def url(self) -> str:
        """Return the URL of gateway and supervisor."""
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> dict[str, int]:
        """Return the number of calls so far, by kind."""
        counts: dict[str, int] = self._get("/counts")
        return counts

    def forget(self) -> None:
        """Forget the running jobs, so that their ends do not disturb later measurements."""
        self._get("/forget")

    def _get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def _answers(self) -> bool:
        self._check_early_exit()
        with suppress(OSError):
            return bool(self.counts())
        return False


@contextmanager
def running(process: Any) -> Iterator[Any]:
    """Run a process for a block, then kill it: no benchmark measures its stop."""
    try:
        process.start()
        yield process
    finally:
        put_away(process)


def put_away(process: Process) -> None:
    """Kill a process if it was started, and close its files."""
    with suppress(RuntimeError):
        process.kill()
    process.close()


class Client(Process):
    """Run a load, whose last line of output is its result as JSON."""

    def __init__(self, command: Sequence[str]) -> None:
        """Take the command to start."""
        super().__init__()
        self.command = command

    def start(self) -> None:
        """Start the command, and return at once."""
        self.launch(self.command, cwd=CHECKOUT)

    def result(self, timeout: float = 180) -> dict[str, float]:
        """Wait for the end, and return the result."""
        if code := self.wait(timeout):
            raise RuntimeError(f"a client ended with {code}:\n{self.log_text()}")
        found: dict[str, float] = json.loads(self.log_text().splitlines()[-1])
        return found


def client(module: str, *kind: str, **options: object) -> Client:
    """Return a client that runs a module of this package."""
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return Client([sys.executable, "-m", f"benchmarks.{module}", *kind, *given])


def load_tool(seconds: float) -> str:
    """Return the program for a load of some seconds."""
    return "wrk" if shutil.which("wrk") and seconds >= 1 else "benchmarks.load"


def wrk(port: int, task: str, connections: int, seconds: float) -> Client:
    """Return a load that sends requests as fast as they are answered, with wrk if it is installed."""
    if load_tool(seconds) != "wrk":
        return client("load", "throughput", port=port, task=task, connections=connections, seconds=seconds)
    url = f"http://127.0.0.1:{port}/acme/task/{task}/job"
    options = [
        "-t1",
        f"-c{connections}",
        f"-d{int(seconds)}s",
        "--timeout",
        "20s",
        "-s",
        "benchmarks/load.lua",
    ]
    return Client(["wrk", *options, url, "--", "bench"])
