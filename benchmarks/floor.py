"""Measure the floor: the two calls of a request, create and read, made by a bare http.client without waiting.

python -m benchmarks.floor --port PORT --task ID --seconds 3
"""

import argparse
import http.client
import json
import resource
import time

from benchmarks.quantiles import quantile

BODY = b'{"task_arguments":[100]}'
WARM_UP = 50


def pair(connection: http.client.HTTPConnection, task: str) -> None:
    """Create a job and read it; parse only the answer to the create."""
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
    connection.request("POST", f"/acme/task/{task}/job", BODY, headers)
    job = json.loads(connection.getresponse().read())["id"]
    connection.request("GET", f"/acme/job/{job}", headers=headers)
    connection.getresponse().read()


def cpu_seconds() -> float:
    """Return the CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(port: int, task: str, seconds: float) -> dict[str, float]:
    """Make pairs of calls, one after the other, for some seconds; return the figures."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(WARM_UP):
        pair(connection, task)
    took, used, began = [], cpu_seconds(), time.monotonic()
    while (start := time.monotonic()) < began + seconds:
        pair(connection, task)
        took.append((time.monotonic() - start) * 1000)
    elapsed, used = time.monotonic() - began, cpu_seconds() - used
    cost = {"answered": len(took), "seconds": elapsed, "cpu_ms": used * 1000 / len(took)}
    return cost | {"p50": quantile(took, 0.5), "p99": quantile(took, 0.99)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    print(json.dumps(run(given.port, given.task, given.seconds)))
