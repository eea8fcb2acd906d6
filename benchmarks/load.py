"""Load the service with clients on bare sockets, all in this process, and print the figures as JSON.

python -m benchmarks.load throughput --port PORT --task ID --connections 32 --seconds 5
python -m benchmarks.load latency    --port PORT --task ID --seconds 3
python -m benchmarks.load parked     --port PORT --task ID --connections 1000 --spread 2
python -m benchmarks.load watched    --port PORT --task ID --connections 1000 --spread 2
"""

import argparse
import asyncio
import json
import re
import time
from typing import NamedTuple

from benchmarks.quantiles import quantile

BODY = b'{"task_arguments":[100]}'
EVENTS = "text/event-stream"
LAST_CHUNK = b"\r\n0\r\n\r\n"
TIMES = re.compile(rb"times[\\\":]+([0-9.]+)/([0-9.]+)")


class Got(NamedTuple):
    """Hold an answer, when its request was sent, and when it was complete (monotonic seconds)."""

    sent: float
    at: float
    data: bytes

    @property
    def right(self) -> bool:
        """Return whether the answer is the result of a job."""
        return self.data.startswith(b"HTTP/1.1 200 ") and TIMES.search(self.data) is not None

    @property
    def job(self) -> tuple[float, float]:
        """Return when the job began and ended."""
        found = TIMES.search(self.data)
        assert found
        return float(found[1]), float(found[2])

    @property
    def late(self) -> float:
        """Return the milliseconds from the end of the job to the answer."""
        return (self.at - self.job[1]) * 1000

    @property
    def added(self) -> float:
        """Return the milliseconds of the request beyond the duration of the job."""
        began, ended = self.job
        return (self.at - self.sent - (ended - began)) * 1000


class Client(asyncio.Protocol):
    """Send the same request over one connection, one at a time."""

    def __init__(self, request: bytes) -> None:
        """Take the request to send."""
        self._request = request
        self._got: asyncio.Future[Got]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self) -> asyncio.Future[Got]:
        """Send the request; return a future of the answer."""
        self._got = asyncio.get_running_loop().create_future()
        self._data: list[bytes] = []
        self._missing: int | None = None
        self._sent = time.monotonic()
        self._transport.write(self._request)
        return self._got

    def data_received(self, data: bytes) -> None:
        """Collect an answer; all answers of the service have a Content-Length, except streams, which are chunked."""
        self._data.append(data)
        if EVENTS.encode() in self._request:
            if data.endswith(LAST_CHUNK) or b"".join(self._data).endswith(LAST_CHUNK):
                self._finish()
            return
        if self._missing is None:
            head, found, body = b"".join(self._data).partition(b"\r\n\r\n")
            if not found:
                return
            self._missing = int(head.lower().partition(b"content-length:")[2].split(None, 1)[0]) - len(body)
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        """Count an incomplete answer as a wrong one."""
        if hasattr(self, "_got") and not self._got.done():
            self._data = []
            self._finish()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _finish(self) -> None:
        self._got.set_result(Got(self._sent, time.monotonic(), b"".join(self._data)))


async def connect(port: int, task: str, accept: str = "*/*") -> Client:
    """Connect and return a client that runs the task, or the workflow of `workflow/ID`."""
    runs = task if "/" in task else f"task/{task}"
    head = f"POST /acme/{runs}/job HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer bench\r\n"
    head += f"Accept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(head.encode() + BODY), "127.0.0.1", port)
    return client


async def repeat(port: int, task: str, seconds: float) -> list[Got]:
    """Send the same request repeatedly on one connection."""
    client, got = await connect(port, task), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got.append(await client.ask())
        if not got[-1].right:  # the service may have closed the connection
            client.close()
            client = await connect(port, task)
    client.close()
    return got


async def park(port: int, task: str, after: float, accept: str) -> Got:
    """Send one request on a connection of its own, after some seconds."""
    await asyncio.sleep(after)
    client = await connect(port, task, accept)
    got = await client.ask()
    client.close()
    return got


async def throughput(given: argparse.Namespace) -> dict[str, float]:
    """Send requests on every connection, as fast as they are answered."""
    began = time.monotonic()
    runs = [repeat(given.port, given.task, given.seconds) for _ in range(given.connections)]
    got = [one for run in await asyncio.gather(*runs) for one in run]
    return summary(got) | {"seconds": time.monotonic() - began} | spread("", [(g.at - g.sent) * 1000 for g in got])


async def latency(given: argparse.Namespace) -> dict[str, float]:
    """Send one request at a time."""
    got = await repeat(given.port, given.task, given.seconds)
    return summary(got)


async def parked(given: argparse.Namespace, accept: str = "*/*") -> dict[str, float]:
    """Send requests that wait at the same time."""
    gap = given.spread / given.connections
    parks = [park(given.port, given.task, number * gap, accept) for number in range(given.connections)]
    return summary(await asyncio.gather(*parks))


async def watched(given: argparse.Namespace) -> dict[str, float]:
    """Send requests that wait at the same time and receive events."""
    return await parked(given, EVENTS)


def summary(got: list[Got]) -> dict[str, float]:
    """Return how many answers were right, how late they were, and the time beyond the jobs' own duration."""
    right = [one for one in got if one.right]
    figures: dict[str, float] = {"answered": len(right), "errors": len(got) - len(right)}
    return figures | spread("late_", [g.late for g in right]) | spread("added_", [g.added for g in right])


def spread(name: str, values: list[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the maximum of values."""
    return {f"{name}{part}": quantile(values, share) for part, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=["throughput", "latency", "parked", "watched"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--spread", type=float, default=2, help="seconds within which parked requests are sent")
    given = parser.parse_args()
    kinds = {"throughput": throughput, "latency": latency, "parked": parked, "watched": watched}
    print(json.dumps(asyncio.run(kinds[given.kind](given))))
