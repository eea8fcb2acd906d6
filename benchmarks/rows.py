"""Define the rows of the table: the measurements and their goals."""

from collections.abc import Callable

from benchmarks.bench import INSTANT, Bench
from benchmarks.figures import Figure
from benchmarks.parked import flat, parked, watched
from benchmarks.processes import Service, client, task_id

CPU = "CPU ms a request"
TASK_MS = 50
OUTPUT_CONNECTIONS = 8
# Commands to Redis that are sent for no request: by TheEye, this benchmark, the listener, and on a new connection.
NOT_COUNTED = {b"publish", b"config", b"slowlog", b"psubscribe", b"ping", b"info"}
MERGE = b":durations:"  # in the keys of a script that a thread runs every 10 s, also for no request

Shared = Callable[[Bench, str, Service], list[Figure]]
Alone = Callable[[Bench, str], list[Figure]]


def warm(bench: Bench, worker: str, service: Service) -> list[Figure]:
    """Count the calls and Redis commands of a request with a known session."""
    row, redis = "warm request", bench.redis.client()
    redis.config_set("slowlog-max-len", 1_000_000)
    redis.config_set("slowlog-log-slower-than", 0)  # every command is logged, with its keys
    redis.slowlog_reset()
    load = client("load", "latency", port=service.port, task=INSTANT, seconds=min(bench.options.seconds, 2))
    used = bench.used(service, lambda: bench.run(load))
    commands = sum(_is_of_request(entry["command"]) for entry in redis.slowlog_get(1_000_000))
    redis.config_set("slowlog-log-slower-than", -1)
    today = bench.today(INSTANT, bench.options.connections[0], min(bench.options.seconds, 3))
    requests = used.calls["create"]
    return [
        Figure(row, worker, "requests", requests),
        Figure(
            row, worker, "calls to TheEye a request", sum(used.calls.values()) / requests, 2, today["calls"]
        ).at_most(2),
        Figure(row, worker, "Redis commands a request", commands / requests, 0, 0).at_most(0),
    ]


def _is_of_request(command: bytes) -> bool:
    """Return whether the service ran a command of Redis for a request."""
    return command.partition(b" ")[0].lower() not in NOT_COUNTED and MERGE not in command


def throughput(bench: Bench, worker: str, service: Service) -> list[Figure]:
    """Send requests as fast as they are answered, for several numbers of connections."""
    return [
        figure
        for connections in bench.options.connections
        for figure in _throughput(bench, worker, service, connections)
    ]


def _throughput(bench: Bench, worker: str, service: Service, connections: int) -> list[Figure]:
    row = f"throughput, {connections}"
    used = bench.throughput(service, connections)
    found, floor = used.found, bench.floor()
    today = bench.today(INSTANT, connections, min(bench.options.seconds, 3))
    bench.times_floor[row, worker] = used.per_request / floor["cpu_ms"]
    rate = Figure(row, worker, "requests/s", found["answered"] / found["seconds"], floor["rate"], today["rate"])
    cpu = Figure(row, worker, CPU, used.per_request, floor["cpu_ms"], today["cpu_ms"])
    if worker == "gevent":
        rate, cpu = rate.at_least(1300), cpu.at_most_times(4.5, floor["cpu_ms"], "the floor")
    else:
        # Relative to the floor: the machine's speed changes from row to row.
        gevents = bench.times_floor.get((row, "gevent"))
        cpu = cpu.at_most_times(1.6, gevents and gevents * floor["cpu_ms"], "gevent's")
    return [
        rate,
        cpu,
        Figure(row, worker, "the stand-in's own CPU ms", used.theeye_per_request),
        Figure(row, worker, "ms to the answer, p50", found["p50"], floor["p50"], today["answer_p50"]),
        Figure(row, worker, "ms to the answer, p99", found["p99"], floor["p99"], today["answer_p99"]),
        Figure(row, worker, "wrong answers", found["errors"]).at_most(0),
        Figure(row, worker, "cores busy with others", used.others),
    ]


def latency(bench: Bench, worker: str, service: Service) -> list[Figure]:
    """Send one request at a time, for a task of 50 ms, and measure the time beyond the job's duration."""
    row, task, seconds = "one at a time", task_id(TASK_MS), bench.options.seconds
    load = client("load", "latency", port=service.port, task=task, seconds=seconds)
    used = bench.used(service, lambda: bench.run(load))
    floor, today = bench.floor(processes=1), bench.today(task, 8, min(seconds, 3))
    found = used.found
    return [
        Figure(row, worker, "ms added, p50", found["added_p50"], floor["p50"], today["added_p50"]),
        Figure(row, worker, "ms added, p99", found["added_p99"], floor["p99"], today["added_p99"]),
        Figure(row, worker, CPU, used.per_request, floor["cpu_ms"], today["cpu_ms"]),
        Figure(row, worker, "wrong answers", found["errors"]).at_most(0),
        Figure(row, worker, "cores busy with others", used.others),
    ]


def workflow(bench: Bench, worker: str, service: Service) -> list[Figure]:
    """Send one request at a time, for a workflow of two steps of 50 ms, and measure the time beyond the steps'."""
    row, target, seconds = "workflow of two steps", f"workflow/{task_id(TASK_MS)}", bench.options.seconds
    load = client("load", "latency", port=service.port, task=target, seconds=seconds)
    used = bench.used(service, lambda: bench.run(load))
    calls = sum(used.calls.values()) / max(used.calls["create"], 1)
    return [
        Figure(row, worker, "ms added, p50", used.found["added_p50"]),
        Figure(row, worker, "ms added, p99", used.found["added_p99"]),
        Figure(row, worker, CPU, used.per_request),
        Figure(row, worker, "calls to TheEye a request", calls),
        Figure(row, worker, "wrong answers", used.found["errors"]).at_most(0),
    ]


def outputs(bench: Bench, worker: str, service: Service) -> list[Figure]:
    """Run jobs with small and large outputs; a job's document contains its output four times."""
    figures = [_output(bench, worker, service, size) for size in bench.options.outputs]
    small, large = figures[0], figures[-1]
    assert small.floor is not None
    assert large.floor is not None
    further = (bench.options.outputs[-1] - bench.options.outputs[0]) / 1e6
    costs = (large.service - small.service) / further, (large.floor - small.floor) / further
    return [*figures, Figure("outputs", worker, "CPU ms for each further MB", *costs)]


def _output(bench: Bench, worker: str, service: Service, size: int) -> Figure:
    task = task_id(0, size)
    used = bench.throughput(service, OUTPUT_CONNECTIONS, task, min(bench.options.seconds, 3))
    floor, today = bench.floor(task), bench.today(task, OUTPUT_CONNECTIONS)
    name = f"{CPU}, {size // 1000:,} kB"
    return Figure("outputs", worker, name, used.per_request, floor["cpu_ms"], today["cpu_ms"])


SHARED: dict[str, Shared] = {
    "warm": warm,
    "throughput": throughput,
    "latency": latency,
    "workflow": workflow,
    "outputs": outputs,
}
ALONE: dict[str, Alone] = {
    "parked": parked,
    "watched": watched,
    "flat": flat,
}  # each starts services of its own, since it measures memory
ROWS = [*SHARED, *ALONE]
