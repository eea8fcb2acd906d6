"""What all rows need: the processes, what a load makes them use, and the floor and today's way beside it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

from benchmarks.machine import busy_seconds, cpu_seconds, ended_children_seconds
from benchmarks.processes import Client, Redis, Service, TheEye, client, put_away, running, task_id, wait_until, wrk

WORKERS = 2  # gunicorn's, and as many processes for the floor
MAX_WAITING = 4000
INSTANT = task_id(0)


@dataclass(frozen=True)
class Waits:
    """Requests that wait at once."""

    count: int
    milliseconds: int  # that each job takes, from its own create
    spread: float  # seconds within which the requests are sent


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    seconds: float = 5.0
    parked: tuple[Waits, ...] = (Waits(1000, 5000, 2), Waits(3000, 5000, 2), Waits(10_000, 30_000, 10))
    watched: Waits = Waits(1000, 9000, 2)
    flat: tuple[int, ...] = (
        10,
        1000,
        3000,
    )  # how many wait beside short requests; the first is what they are held against
    connections: tuple[int, ...] = (32, 128)
    outputs: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    pollers: int = 300  # today's way beside the parked rows; how late it is does not depend on their number


QUICK = Options(
    seconds=0.5,
    parked=(Waits(20, 1000, 0.5),),
    watched=Waits(20, 1000, 0.5),
    flat=(2, 20),
    connections=(4,),
    outputs=(1_000, 1_000_000),
    pollers=10,
)


@dataclass(frozen=True)
class Used:
    """What came of a load, and what it made the processes use."""

    found: dict[str, float]
    cpu_ms: float
    theeye_ms: float
    calls: dict[str, int]
    others: float  # cores that were busy with something else

    @property
    def per_request(self) -> float:
        """Return the milliseconds of the service's processes for each job that was created."""
        return self.cpu_ms / max(self.calls["create"], 1)

    @property
    def theeye_per_request(self) -> float:
        """Return the same of the stand-in, which is none of the service's cost."""
        return self.theeye_ms / max(self.calls["create"], 1)


class _Meter(NamedTuple):
    at: float
    calls: dict[str, int]
    service: float
    theeye: float
    others: float


Todays = dict[tuple[str, int], dict[str, float]]  # by task and number of clients


class Bench:
    """A Redis and a TheEye, and services in front of them."""

    def __init__(self, options: Options, service: type[Service] = Service, todays: Todays | None = None) -> None:
        """Measure `service`; `todays` are another bench's, so that they are measured once."""
        self.options = options
        self._service = service
        self._stack = ExitStack()
        self.todays: Todays = {} if todays is None else todays
        self.times_floor: dict[tuple[str, str], float] = {}  # by row and worker, for rows that compare

    def __enter__(self) -> "Bench":
        with ExitStack() as stack:
            self.redis: Redis = stack.enter_context(running(Redis()))
            self.theeye: TheEye = stack.enter_context(running(TheEye(self.redis.port)))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def service(self, worker: str, waiting: int = MAX_WAITING) -> Iterator[Service]:
        """Run the service as its users do, and give it once it is warm: it knows the session and has subscribed."""
        env = {"SYNC_GATEWAY_URL": self.theeye.url, "SYNC_SUPERVISOR_URL": self.theeye.url}
        env |= {"SYNC_REDIS_URL": self.redis.url, "SYNC_MAX_WAITING": str(waiting)}
        env["SYNC_MAX_WAITING_CUSTOMER"] = str(waiting)
        service = self._service(env, worker=worker, workers=WORKERS)
        try:
            service.__enter__()
            self.warm(service)
            yield service
        finally:
            put_away(service)

    def warm(self, service: Service) -> None:
        """Let both workers serve, until the code that runs often has run often."""
        seconds = min(self.options.seconds / 2, 1.5)
        self.run(client("load", "throughput", port=service.port, task=INSTANT, connections=32, seconds=seconds))

    def run(self, load: Client) -> dict[str, float]:
        """Run a client, and return what it found."""
        with running(load):
            return load.result()

    def throughput(self, service: Service, connections: int, task: str = INSTANT, seconds: float = 0) -> Used:
        """Send as many requests as it answers."""
        load = wrk(service.port, task, connections, seconds or self.options.seconds)
        return self.used(service, lambda: self.run(load))

    def used(self, service: Service, action: Callable[[], dict[str, float]]) -> Used:
        """Return what the processes use meanwhile, from the operating system."""
        before = self._meter(service)
        found = action()
        self._settle(before.calls)
        after = self._meter(service)
        cpu, theeye = after.service - before.service, after.theeye - before.theeye
        elapsed, others = after.at - before.at, after.others - before.others
        calls = {kind: after.calls[kind] - before.calls[kind] for kind in after.calls}
        return Used(found, cpu * 1000, theeye * 1000, calls, max(others / elapsed, 0))

    def _meter(self, service: Service) -> _Meter:
        calls = self.theeye.counts()
        cpu, theeye = cpu_seconds([service.pid, *service.worker_pids()]), cpu_seconds([self.theeye.pid])
        known = cpu + theeye + cpu_seconds([self.redis.pid, os.getpid()]) + ended_children_seconds()
        return _Meter(time.monotonic(), calls, cpu, theeye, busy_seconds() - known)

    def _settle(self, before: dict[str, int]) -> None:
        """Wait for the last reads: a load that stops in the middle leaves requests behind."""

        def quiet() -> bool:
            now = self.theeye.counts()
            return now["read"] - before["read"] >= now["create"] - before["create"]

        try:
            wait_until(quiet, 0.5, "the last reads")
        except AssertionError:
            return  # the others were given up, since their clients have gone

    def floor(self, task: str = INSTANT, processes: int = WORKERS) -> dict[str, float]:
        """Make the two calls without a service between, usually from as many processes as the service has workers.

        It is measured beside each row that is judged by it: a machine is not as fast from one minute to the next.
        """
        seconds = min(self.options.seconds, 3)
        loads = [client("floor", port=self.theeye.port, task=task, seconds=seconds) for _ in range(processes)]
        with ExitStack() as stack:
            found = [load.result() for load in [stack.enter_context(running(load)) for load in loads]]
        mean = {name: sum(one[name] for one in found) / processes for name in found[0]}
        return mean | {"rate": sum(one["answered"] / one["seconds"] for one in found)}

    def today(self, task: str, clients: int, seconds: float = 0.0) -> dict[str, float]:
        """Run the same tasks by clients that poll, once for each task and number of clients."""
        if (task, clients) not in self.todays:
            load = client("polling", port=self.theeye.port, task=task, clients=clients, seconds=seconds)
            found: dict[str, Any] = self.run(load)
            self.todays[task, clients] = found | {"rate": found["answered"] / found["seconds"]}
        return self.todays[task, clients]
