"""Measure clients that poll TheEye: POST the task, read the job's lifecycle twice a second, then read the job.

python -m benchmarks.polling --port PORT --task ID --clients 32 --seconds 5

Each client is a thread with one kept-alive http.client connection, and runs the task at least once. A job ends at a
random time between two reads of the lifecycle. So the first read comes at a random time within the first half second.
"""

import argparse
import http.client
import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.floor import BODY, cpu_seconds
from benchmarks.quantiles import quantile

PAUSE = 0.5
TIMES = re.compile(rb"times[\\\":]+([0-9.]+)/([0-9.]+)")


class Poller:
    """Run a task by polling."""

    def __init__(self, port: int, task: str) -> None:
        """Connect with the first call."""
        self.calls = 0
        self.late: list[float] = []
        self.added: list[float] = []
        self.took: list[float] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._task = task

    def run(self, seconds: float) -> None:
        """Run the task repeatedly, for some seconds."""
        end = time.monotonic() + seconds
        while not self.late or time.monotonic() < end:
            self._one()

    def _one(self) -> None:
        sent = time.monotonic()
        job = json.loads(self._call("POST", f"/acme/task/{self._task}/job", BODY))["id"]
        time.sleep(random.uniform(0, PAUSE))
        while json.loads(self._call("GET", f"/acme/job/{job}/lifecycle")) != "finished":
            time.sleep(PAUSE)
        found = TIMES.search(self._call("GET", f"/acme/job/{job}"))
        at = time.monotonic()
        assert found
        began, ended = float(found[1]), float(found[2])
        self.took.append((at - sent) * 1000)
        self.late.append((at - ended) * 1000)
        self.added.append((at - sent - (ended - began)) * 1000)

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        self.calls += 1
        headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
        self._connection.request(method, path, body, headers)
        return self._connection.getresponse().read()


def run(port: int, task: str, clients: int, seconds: float) -> dict[str, float]:
    """Run all clients at the same time; return the figures."""
    pollers = [Poller(port, task) for _ in range(clients)]
    used, began = cpu_seconds(), time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda poller: poller.run(seconds), pollers))
    used, elapsed = cpu_seconds() - used, time.monotonic() - began
    late = [one for poller in pollers for one in poller.late]
    added = [one for poller in pollers for one in poller.added]
    took = [one for poller in pollers for one in poller.took]
    calls = sum(poller.calls for poller in pollers)
    return {
        "answered": len(late),
        "seconds": elapsed,
        "cpu_ms": used * 1000 / len(late),
        "calls": calls / len(late),
        "answer_p50": quantile(took, 0.5),
        "answer_p99": quantile(took, 0.99),
        "late_p50": quantile(late, 0.5),
        "late_max": quantile(late, 1),
        "added_p50": quantile(added, 0.5),
        "added_p99": quantile(added, 0.99),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    print(json.dumps(run(given.port, given.task, given.clients, given.seconds)))
