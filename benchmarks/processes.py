"""The processes of a measurement, and what each of them has used. They end with the block that started them."""

import http.client
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tests"))  # the tests start the same processes

from support.processes import Process, Redis, Service, free_port, wait_until  # noqa: E402

from benchmarks.theeye import task_id  # noqa: E402

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
    """benchmarks.theeye."""

    def __init__(self, redis_port: int) -> None:
        """Listens when it has been entered."""
        super().__init__()
        self.port = free_port()
        self._redis_port = redis_port

    def start(self) -> None:
        """Returns once it answers."""
        options = ["--port", str(self.port), "--redis-port", str(self._redis_port)]
        self.launch([sys.executable, "-m", "benchmarks.theeye", *options], cwd=CHECKOUT)
        wait_until(self._answers, 10, "benchmarks.theeye")

    @property
    def url(self) -> str:
        """Gateway and supervisor."""
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> dict[str, int]:
        """Calls so far, by kind."""
        counts: dict[str, int] = self._get("/counts")
        return counts

    def forget(self) -> None:
        """Running jobs do not end any more, so that they disturb nothing that is measured later."""
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
    """A process for the time of a block. It is killed in the end: how it stops is measured by nobody here."""
    try:
        process.start()
        yield process
    finally:
        put_away(process)


def put_away(process: Process) -> None:
    """Ends it the quick way, if it was started at all."""
    with suppress(RuntimeError):
        process.kill()
    process.close()


class Client(Process):
    """A load: its last line of output is what it found, as JSON."""

    def __init__(self, command: Sequence[str]) -> None:
        """To be started."""
        super().__init__()
        self.command = command

    def start(self) -> None:
        """Returns at once."""
        self.launch(self.command, cwd=CHECKOUT)

    def result(self, timeout: float = 180) -> dict[str, float]:
        """What it found, once it has ended."""
        if code := self.wait(timeout):
            raise RuntimeError(f"a client ended with {code}:\n{self.log_text()}")
        found: dict[str, float] = json.loads(self.log_text().splitlines()[-1])
        return found


def client(module: str, *kind: str, **options: object) -> Client:
    """One of this package's clients."""
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return Client([sys.executable, "-m", f"benchmarks.{module}", *kind, *given])


def load_tool(seconds: float) -> str:
    """What makes a load of so long."""
    return "wrk" if shutil.which("wrk") and seconds >= 1 else "benchmarks.load"


def wrk(port: int, task: str, connections: int, seconds: float) -> Client:
    """A load as fast as it is answered: from wrk where that is installed."""
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
