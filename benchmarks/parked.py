"""Measure the rows with many waiting requests."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.bench import MAX_WAITING, Bench, Used, Waits
from benchmarks.figures import Figure
from benchmarks.machine import allow_files, memory_kb
from benchmarks.processes import Client, Service, client, running, task_id, wait_until

LATE_MS = 2000
WAIT_KB = {"gevent": 40, "gthread": 60}
FIRST_LOOK = 4.4  # seconds after which the first wait reads its job, in case a notification was lost
WATCHED_TIMES = 1.2  # the limit for a wait with events, relative to one without
FLAT_CONNECTIONS = 32
FLAT_MS = 30_000
FEW_LOOKS = 0.05
OTHER_FILES = 1024


@dataclass(frozen=True)
class Waiting:
    """Hold the load of waiting requests, and how many of them waited at the same time."""

    load: Client
    at_once: int


@dataclass(frozen=True)
class Parked:
    """Hold the result of waiting requests, how many waited at the same time, and the memory of each in kB."""

    used: Used
    at_once: int
    kb: float

    @property
    def calls(self) -> float:
        """Return the number of calls to TheEye for each request."""
        return sum(self.used.calls.values()) / max(self.used.calls["create"], 1)


@contextmanager
def waiting(bench: Bench, service: Service, waits: Waits, kind: str = "parked") -> Iterator[Waiting]:
    """Send requests that wait, and yield when all their jobs have been created."""
    before, most = bench.theeye.counts(), 0

    def all_created() -> bool:
        nonlocal most
        now = bench.theeye.counts()
        created, read = (now[kind] - before[kind] for kind in ("create", "read"))
        most = max(most, created - read)
        return created >= waits.count

    task, count, spread = task_id(waits.milliseconds), waits.count, waits.spread
    with running(client("load", kind, port=service.port, task=task, connections=count, spread=spread)) as load:
        wait_until(all_created, 60, f"{count} creates")
        yield Waiting(load, most)


def may_wait(counts: Sequence[int], worker: str) -> int:
    """Return how many of these rows to measure: with threads one, and none with more waits than files may be open."""
    wanted = counts if worker == "gevent" else counts[:1]
    allowed = [count for count in wanted if allow_files(count + OTHER_FILES)]
    for count in set(wanted) - set(allowed):
        print(f"{count:,} parked waits are left out: see ulimit -n", file=sys.stderr)
    return len(allowed)


def parked(bench: Bench, worker: str) -> list[Figure]:
    """Measure how late the answers are when all requests wait at the same time, and the cost of a wait."""
    every = bench.options.parked
    rows = every[: may_wait([waits.count for waits in every], worker)]
    return [figure for waits in rows for figure in _parked(bench, worker, waits)]


def _parked(bench: Bench, worker: str, waits: Waits) -> list[Figure]:
    row, count, one = f"parked, {waits.count:,}", waits.count, _park(bench, worker, waits)
    found, today = one.used.found, bench.today(task_id(waits.milliseconds), bench.options.pollers)
    return [
        Figure(row, worker, "answered", found["answered"]).at_least(count),
        Figure(row, worker, "ms late, p50", found["late_p50"], None, today["late_p50"]),
        Figure(row, worker, "ms late, most", found["late_max"], None, today["late_max"]).at_most(LATE_MS),
        Figure(row, worker, "waiting at once", one.at_once),
        Figure(row, worker, "kB a wait", one.kb).at_most(WAIT_KB[worker]),
        Figure(row, worker, "CPU ms a request", one.used.per_request, bench.floor()["cpu_ms"], today["cpu_ms"]),
        Figure(row, worker, "calls to TheEye a request", one.calls, 2, today["calls"]),
        Figure(row, worker, "cores busy with others", one.used.others),
    ]


def _park(bench: Bench, worker: str, waits: Waits, kind: str = "parked") -> Parked:
    """Start a service and let requests wait in it."""
    grown, at_once = 0, 0
    with bench.service(
        worker, waiting=max(MAX_WAITING, waits.count)
    ) as service:  # one worker may get almost all requests
        pids = service.worker_pids()
        before = memory_kb(pids)

        def park() -> dict[str, float]:
            nonlocal grown, at_once
            with waiting(bench, service, waits, kind) as all_of_them:
                grown, at_once = memory_kb(pids) - before, all_of_them.at_once
                return all_of_them.load.result()

        used = bench.used(service, park)
    return Parked(used, at_once, grown / max(at_once, 1))


def watched(bench: Bench, worker: str) -> list[Figure]:
    """Measure the cost of a wait whose client receives events, compared with a wait without events."""
    if not may_wait([bench.options.watched.count], worker):
        return []
    plain, events = (_park(bench, worker, bench.options.watched, kind) for kind in ("parked", "watched"))
    row, limit, what = f"watched, {bench.options.watched.count:,}", WATCHED_TIMES, "a plain wait's"
    cpu, base = events.used.per_request, plain.used.per_request
    return [
        Figure(row, worker, "answered", events.used.found["answered"]).at_least(bench.options.watched.count),
        Figure(row, worker, "kB a wait", events.kb, plain.kb).at_most_times(limit, plain.kb, what),
        Figure(row, worker, "CPU ms a request", cpu, base).at_most_times(limit, base, what),
        Figure(row, worker, "calls to TheEye", events.calls, plain.calls).at_most_times(limit, plain.calls, what),
        Figure(row, worker, "cores busy with others", max(plain.used.others, events.used.others)),
    ]


def flat(bench: Bench, worker: str) -> list[Figure]:
    """Measure the cost of a short request while others wait."""
    few, *many = bench.options.flat
    wanted = (few, *many[: may_wait(many, worker)])
    with bench.service(worker) as service:
        used = {count: _flat(bench, service, count) for count in wanted}
    floor = bench.floor()["cpu_ms"]
    return [
        figure for count, one in used.items() for figure in _flat_figures(worker, count, one, few, used[few], floor)
    ]


def _flat(bench: Bench, service: Service, count: int) -> Used:
    began = time.monotonic()
    with waiting(bench, service, Waits(count, FLAT_MS, min(2, count / 3000))):
        left = FIRST_LOOK - (time.monotonic() - began)
        used = bench.throughput(service, FLAT_CONNECTIONS, seconds=max(1, min(left, bench.options.seconds)))
    bench.theeye.forget()  # the service ends the waits, since their clients have gone
    return used


def _flat_figures(worker: str, count: int, used: Used, few: int, base: Used, floor: float) -> list[Figure]:
    row, looks = f"with {count:,} waiting", used.calls["lifecycle"] / used.calls["create"]
    cpu = Figure(row, worker, "CPU ms a request", used.per_request, floor)
    if looks < FEW_LOOKS:  # with more looks, the difference is the cost of these looks and not that of a request
        cpu = cpu.at_most_times(1.25, base.per_request, f"that with {few}")
    return [
        cpu,
        Figure(row, worker, "looks of the waiting a request", looks),
        Figure(row, worker, "cores busy with others", used.others),
    ]
