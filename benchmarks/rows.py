"""The rows of the table: what is measured, and what it should come to."""

from collections.abc import Callable

from benchmarks.bench import INSTANT, Bench
from benchmarks.figures import Figure
from benchmarks.processes import Service

CPU = "CPU ms a request"


def throughput(bench: Bench, worker: str, service: Service) -> list[Figure]:
    """As fast as it is answered, at several numbers of connections."""
    return [
        figure
        for connections in bench.options.connections
        for figure in _throughput(bench, worker, service, connections)
    ]


def _throughput(bench: Bench, worker: str, service: Service, connections: int) -> list[Figure]:
    row = f"throughput, {connections}"
    used = bench.throughput(service, connections)
    floor, today = bench.floor(), bench.today(INSTANT, connections, min(bench.options.seconds, 3))
    bench.cpu_of[row, worker] = used.per_request
    rate = Figure(
        row, worker, "requests/s", used.found["answered"] / used.found["seconds"], floor["rate"], today["rate"]
    )
    cpu = Figure(row, worker, CPU, used.per_request, floor["cpu_ms"], today["cpu_ms"])
    if worker == "gevent":
        rate, cpu = rate.at_least(1300), cpu.at_most_times(3, floor["cpu_ms"], "the floor")
    else:
        cpu = cpu.at_most_times(1.6, bench.cpu_of.get((row, "gevent")), "gevent's")
    return [
        rate,
        cpu,
        Figure(row, worker, "its TheEye's own CPU ms", used.theeye_per_request),
        Figure(row, worker, "ms to the answer, p50", used.found["p50"], floor["p50"]),
        Figure(row, worker, "ms to the answer, p99", used.found["p99"], floor["p99"]),
        Figure(row, worker, "wrong answers", used.found["errors"]).at_most(0),
    ]


Row = Callable[[Bench, str, Service], list[Figure]]

ROWS: dict[str, Row] = {"throughput": throughput}
