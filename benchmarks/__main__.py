"""python -m benchmarks: measures, prints one table and writes it as JSON."""

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.bench import INSTANT, MAX_WAITING, QUICK, WORKERS, Bench, Options
from benchmarks.figures import Figure, table
from benchmarks.processes import load_tool, wrk
from benchmarks.rows import ALONE, ROWS, SHARED

KINDS = ("gevent", "gthread")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what a request costs.")
    parser.add_argument("--quick", action="store_true", help="few and short, to see that it works")
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--worker", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--serve", action="store_true", help="measure nothing: keep a service up to be profiled")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results.json"), help="the file for the JSON")
    return parser.parse_args(arguments)


def measure(bench: Bench, worker: str, rows: Sequence[str]) -> list[Figure]:
    """All rows with one kind of worker."""
    figures: list[Figure] = []
    if shared := [row for row in SHARED if row in rows]:
        with bench.service(worker) as service:
            for row in shared:
                tell(worker, row)
                figures += SHARED[row](bench, worker, service)
    for row in (row for row in ALONE if row in rows):
        tell(worker, row)
        figures += ALONE[row](bench, worker)
    return figures


def tell(worker: str, row: str) -> None:
    """What is being measured, for who is waiting."""
    print(f"{worker}: {row}", file=sys.stderr, flush=True)


def serve(bench: Bench, worker: str) -> None:
    """A warm service with all that it needs, until Ctrl-C."""
    with bench.service(worker) as service:
        load = " ".join(wrk(service.port, INSTANT, 32, 60).command)
        print(f"{service.url}, workers {service.worker_pids()}\nload: {load}", flush=True)
        signal.pause()


def report(figures: Sequence[Figure], options: Options, out: Path) -> str:
    """The table with the machine above it; the file has the same."""
    about: dict[str, Any] = machine.description() | {
        "load": load_tool(options.seconds),
        "gunicorn workers": WORKERS,
        "SYNC_MAX_WAITING": MAX_WAITING,
        "HTTP parser": "Python" if machine.installed("gunicorn_h1c") == "none" else "gunicorn_h1c",
    }
    out.write_text(json.dumps({"machine": about, "figures": [one.as_json() for one in figures]}, indent=1) + "\n")
    return "\n".join([*(f"{name}: {value}" for name, value in about.items()), "", table(figures)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Everything that is started ends with it, also by Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = parse(arguments)
    options = QUICK if given.quick else Options()
    workers = KINDS if given.worker == "both" else (given.worker,)
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not installed: apt-get install redis-server")
    try:
        with Bench(options) as bench:
            if given.serve:
                serve(bench, workers[0])
            figures = [figure for worker in workers for figure in measure(bench, worker, given.only or ROWS)]
    except KeyboardInterrupt:
        return 130
    print(report(figures, options, given.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
