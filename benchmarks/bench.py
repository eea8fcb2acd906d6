"""Start the processes of the benchmarks, and measure the service, the floor and polling clients."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

from benchmarks.machine import busy_seconds, cpu_seconds, ended_children_seconds
from benchmarks.processes import Client, Redis, Service, TheEye, client, put_away, running, task_id, wait_until, wrk

WORKERS = 2  # gunicorn's workers, and the processes of the floor
MAX_WAITING = 4000
INSTANT = task_id(0)


@dataclass(frozen=True)
class Waits:
    """Describe requests that wait at the same time."""

    count: int
    milliseconds: int  # the duration of each job, from its own create
    spread: float  # the seconds in which all requests are sent


@dataclass(frozen=True)
class Options:
    """Hold the sizes of the benchmarks."""

    seconds: float = 5.0
    parked: tuple[Waits, ...] = (Waits(1000, 5000, 2), Waits(3000, 5000, 2), Waits(10_000, 30_000, 10))
    watched: Waits = Waits(1000, 9000, 2)
    flat: tuple[int, ...] = (10, 1000, 3000)  # waits beside short requests; the first is the base of comparison
    connections: tuple[int, ...] = (32, 128)
    outputs: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    pollers: int = 300  # polling clients beside the parked rows; their lateness does not depend on their number


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
    """Hold the result of a load, and the CPU time and calls that it took."""

    found: dict[str, float]
    cpu_ms: float
    theeye_ms: float
    calls: dict[str, int]
    others: float  # cores that other programs kept busy

    @property
    def per_request(self) -> float:
        """Return the CPU milliseconds of the service for each created job."""
        return self.cpu_ms / max(self.calls["create"], 1)

    @property
    def theeye_per_request(self) -> float:
        """Return the CPU milliseconds of the stand-in for each created job; they are not part of the service's cost."""
        return self.theeye_ms / max(self.calls["create"], 1)


class _Meter(NamedTuple):
    at: float
    calls: dict[str, int]
    service: float
    theeye: float
    others: float


Todays = dict[tuple[str, int], dict[str, float]]  # by task and number of clients


class Bench:
    """Run a Redis and a TheEye, and measure services in front of them."""

    def __init__(self, options: Options, service: type[Service] = Service, todays: Todays | None = None) -> None:
        """Measure `service`; `todays` shares the figures of polling with another bench."""
        self.options = options
        self._service = service
        self._stack = ExitStack()
        self.todays: Todays = {} if todays is None else todays
        self.times_floor: dict[tuple[str, str], float] = {}  # by row and worker, for comparisons between workers

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
        """Run the service as its users do, and yield it warm: it knows the session and has subscribed."""
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
        """Send requests to both workers until Python has specialised the code that runs often."""
        seconds = min(self.options.seconds / 2, 1.5)
        self.run(client("load", "throughput", port=service.port, task=INSTANT, connections=32, seconds=seconds))

    def run(self, load: Client) -> dict[str, float]:
        """Run a client and return its result."""
        with running(load):
            return load.result()

    def throughput(self, service: Service, connections: int, task: str = INSTANT, seconds: float = 0) -> Used:
        """Send requests as fast as the service answers them."""
        load = wrk(service.port, task, connections, seconds or self.options.seconds)
        return self.used(service, lambda: self.run(load))

    def used(self, service: Service, action: Callable[[], dict[str, float]]) -> Used:
        """Run an action; return its result, and the CPU time and calls that the processes used meanwhile."""
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
        """Wait for the last reads: a load may stop while requests are running."""

        def quiet() -> bool:
            now = self.theeye.counts()
            return now["read"] - before["read"] >= now["create"] - before["create"]

        try:
            wait_until(quiet, 0.5, "the last reads")
        except AssertionError:
            return  # the service has stopped the others, since their clients have gone

    def floor(self, task: str = INSTANT, processes: int = WORKERS) -> dict[str, float]:
        """Make the two calls of a request without the service, by default in as many processes as it has workers.

        Measure this beside each row that is compared with it: the speed of a machine changes from minute to minute.
        """
        seconds = min(self.options.seconds, 3)
        loads = [client("floor", port=self.theeye.port, task=task, seconds=seconds) for _ in range(processes)]
        with ExitStack() as stack:
            found = [load.result() for load in [stack.enter_context(running(load)) for load in loads]]
        mean = {name: sum(one[name] for one in found) / processes for name in found[0]}
        return mean | {"rate": sum(one["answered"] / one["seconds"] for one in found)}

    def today(self, task: str, clients: int, seconds: float = 0.0) -> dict[str, float]:
        """Run the same tasks with polling clients; measure once for each task and number of clients."""
        if (task, clients) not in self.todays:
            load = client("polling", port=self.theeye.port, task=task, clients=clients, seconds=seconds)
            found: dict[str, Any] = self.run(load)
            self.todays[task, clients] = found | {"rate": found["answered"] / found["seconds"]}
        return self.todays[task, clients]
