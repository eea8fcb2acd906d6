"""The rows with many requests that wait at once."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.bench import Bench, Used
from benchmarks.figures import Figure
from benchmarks.machine import allow_files, memory_kb
from benchmarks.processes import Client, Service, client, running, task_id, wait_until

SPREAD = 2.0  # seconds within which the requests are sent
FIRST_LOOK = 4.4  # seconds after which the first wait makes sure that no notification was lost
FLAT_CONNECTIONS = 32
FLAT_MS = 30_000
FEW_LOOKS = 0.05
OTHER_FILES = 1024


@dataclass(frozen=True)
class Waiting:
    """Requests that wait, and how many of them did so at once."""

    load: Client
    at_once: int


@contextmanager
def waiting(bench: Bench, service: Service, count: int, milliseconds: int, spread: float) -> Iterator[Waiting]:
    """So many requests that wait, once all their jobs have been created."""
    before, most = bench.theeye.counts(), 0

    def all_created() -> bool:
        nonlocal most
        now = bench.theeye.counts()
        created, read = (now[kind] - before[kind] for kind in ("create", "read"))
        most = max(most, created - read)
        return created >= count

    task = task_id(milliseconds)
    with running(client("load", "parked", port=service.port, task=task, connections=count, spread=spread)) as load:
        wait_until(all_created, 60, f"{count} creates")
        yield Waiting(load, most)


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
    row, milliseconds, grown, at_once = f"parked, {count:,}", bench.options.parked_ms, 0, 0
    with bench.service(worker) as service:
        pids = service.worker_pids()
        before = memory_kb(pids)

        def park() -> dict[str, float]:
            nonlocal grown, at_once
            with waiting(bench, service, count, milliseconds, min(SPREAD, milliseconds / 2000)) as all_of_them:
                grown, at_once = memory_kb(pids) - before, all_of_them.at_once
                return all_of_them.load.result()

        used = bench.used(service, park)
    found, today = used.found, bench.today(task_id(milliseconds), bench.options.pollers)
    return [
        Figure(row, worker, "answered", found["answered"]).at_least(count),
        Figure(row, worker, "ms late, p50", found["late_p50"], None, today["late_p50"]),
        Figure(row, worker, "ms late, most", found["late_max"], None, today["late_max"]).at_most(1500),
        Figure(row, worker, "waiting at once", at_once),
        Figure(row, worker, "kB a wait", grown / max(at_once, 1)).at_most(60),
        Figure(row, worker, "CPU ms a request", used.per_request, bench.floor()["cpu_ms"], today["cpu_ms"]),
        Figure(row, worker, "calls to TheEye a request", sum(used.calls.values()) / count, 2, today["calls"]),
        Figure(row, worker, "cores busy with others", used.others),
    ]


def flat(bench: Bench, worker: str) -> list[Figure]:
    """What a short request costs while others wait."""
    few = bench.options.few
    wanted = (few, *counts(bench, worker))
    with bench.service(worker) as service:
        used = {count: _flat(bench, service, count) for count in wanted}
    return [figure for count, one in used.items() for figure in _flat_figures(bench, worker, count, one, used[few])]


def _flat(bench: Bench, service: Service, count: int) -> Used:
    began = time.monotonic()
    with waiting(bench, service, count, FLAT_MS, min(SPREAD, count / 3000)):
        left = FIRST_LOOK - (time.monotonic() - began)
        used = bench.throughput(service, FLAT_CONNECTIONS, seconds=max(1, min(left, bench.options.seconds)))
    bench.theeye.forget()  # the waits end too, since their clients have gone
    return used


def _flat_figures(bench: Bench, worker: str, count: int, used: Used, few: Used) -> list[Figure]:
    row, looks = f"with {count:,} waiting", used.calls["lifecycle"] / used.calls["create"]
    cpu = Figure(row, worker, "CPU ms a request", used.per_request, bench.floor()["cpu_ms"])
    if looks < FEW_LOOKS:  # else it is no request that costs more, but the waits that make sure of theirs
        cpu = cpu.at_most_times(1.25, few.per_request, f"that with {bench.options.few}")
    return [
        cpu,
        Figure(row, worker, "looks of the waiting a request", looks),
        Figure(row, worker, "cores busy with others", used.others),
    ]
