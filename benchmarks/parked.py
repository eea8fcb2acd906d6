"""The rows with many requests that wait at once."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.machine import allow_files, memory_kb
from benchmarks.processes import Client, Service, client, running, task_id, wait_until

SPREAD = 2.0  # seconds within which the requests are sent
FIRST_LOOK = 4.4  # seconds after which the first wait makes sure that no notification was lost
FLAT_CONNECTIONS = 32
FLAT_MS = 30_000
OTHER_FILES = 1024


@contextmanager
def waiting(bench: Bench, service: Service, count: int, milliseconds: int, spread: float) -> Iterator[Client]:
    """So many requests that wait, once all their jobs have been created."""
    before = bench.theeye.counts()["create"]
    task = task_id(milliseconds)
    with running(client("load", "parked", port=service.port, task=task, connections=count, spread=spread)) as load:
        wait_until(lambda: bench.theeye.counts()["create"] - before >= count, 60, f"{count} creates")
        yield load


def counts(bench: Bench, worker: str) -> list[int]:
    """How many waits: fewer with threads, and only so many as there may be open files."""
    wanted = bench.options.parked[: 1 if worker == "gthread" else None]
    allowed = [count for count in wanted if allow_files(count + OTHER_FILES)]
    for count in set(wanted) - set(allowed):
        print(f"{count:,} parked waits are left out: see ulimit -n", file=sys.stderr)
    return allowed


def parked(bench: Bench, worker: str) -> list[Figure]:
    """How late the answers are when all wait at once, and what a wait costs."""
    return [figure for count in counts(bench, worker) for figure in _parked(bench, worker, count)]


def _parked(bench: Bench, worker: str, count: int) -> list[Figure]:
    row, milliseconds, grown = f"parked, {count:,}", bench.options.parked_ms, 0
    with bench.service(worker) as service:
        pids = service.worker_pids()
        before = memory_kb(pids)

        def park() -> dict[str, float]:
            nonlocal grown
            with waiting(bench, service, count, milliseconds, min(SPREAD, milliseconds / 2000)) as load:
                grown = memory_kb(pids) - before
                return load.result()

        used = bench.used(service, park)
    found, today = used.found, bench.today(task_id(milliseconds), bench.options.pollers)
    return [
        Figure(row, worker, "answered", found["answered"]).at_least(count),
        Figure(row, worker, "ms late, p50", found["late_p50"], None, today["late_p50"]),
        Figure(row, worker, "ms late, most", found["late_max"], None, today["late_max"]).at_most(1500),
        Figure(row, worker, "kB a wait", grown / count).at_most(60),
        Figure(row, worker, "CPU ms a request", used.per_request, bench.floor()["cpu_ms"], today["cpu_ms"]),
        Figure(row, worker, "calls to TheEye a request", sum(used.calls.values()) / count, 2, today["calls"]),
    ]


def flat(bench: Bench, worker: str) -> list[Figure]:
    """What a short request costs while others wait."""
    costs: dict[int, Figure] = {}
    looks = []
    for count in (bench.options.few, *counts(bench, worker)):
        costs[count], looked = _flat(bench, worker, count)
        looks.append(looked)
    few = costs[bench.options.few].service
    limited = [cost.at_most_times(1.25, few, f"that with {bench.options.few}") for cost in costs.values()]
    return [figure for pair in zip(limited, looks, strict=True) for figure in pair]


def _flat(bench: Bench, worker: str, count: int) -> tuple[Figure, Figure]:
    began = time.monotonic()
    with bench.service(worker) as service, waiting(bench, service, count, FLAT_MS, min(SPREAD, count / 3000)):
        left = FIRST_LOOK - (time.monotonic() - began)
        used = bench.throughput(service, FLAT_CONNECTIONS, seconds=max(1, min(left, bench.options.seconds)))
    bench.theeye.forget()
    name = f"with {count:,} waiting"
    floor = bench.floor()["cpu_ms"]
    return (
        Figure("short requests", worker, f"CPU ms, {name}", used.per_request, floor),
        Figure("short requests", worker, f"looks meanwhile, {name}", used.calls["lifecycle"] / used.calls["create"]),
    )
