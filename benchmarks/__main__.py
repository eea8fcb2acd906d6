"""python -m benchmarks: measures, prints one table and writes it as JSON."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.bench import MAX_WAITING, QUICK, WORKERS, Bench, Options
from benchmarks.figures import Figure, table
from benchmarks.rows import ROWS

KINDS = ("gevent", "gthread")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what a request costs.")
    parser.add_argument("--quick", action="store_true", help="few and short, to see that it works")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--worker", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results.json"), help="the file for the JSON")
    return parser.parse_args(given)


def measure(bench: Bench, workers: Sequence[str], rows: Sequence[str]) -> list[Figure]:
    """All rows, each before a service of its own."""
    figures: list[Figure] = []
    for worker in workers:
        for row in rows:
            print(f"{worker}: {row} …", file=sys.stderr, flush=True)
            with bench.service(worker) as service:
                figures += ROWS[row](bench, worker, service)
    return figures


def report(figures: Sequence[Figure], out: Path) -> str:
    """The table with the machine above it; the file has the same."""
    about: dict[str, Any] = machine.description() | {
        "gunicorn_workers": WORKERS,
        "SYNC_MAX_WAITING": MAX_WAITING,
        "parser": "Python" if machine.installed("gunicorn_h1c") == "none" else "gunicorn_h1c",
    }
    out.write_text(json.dumps({"machine": about, "figures": [one.as_json() for one in figures]}, indent=1) + "\n")
    return "\n".join([*(f"{name}: {value}" for name, value in about.items()), "", table(figures)])


def main(given: Sequence[str] | None = None) -> int:
    """Everything that is started ends with it, also by Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments(given)
    workers = KINDS if options.worker == "both" else (options.worker,)
    machine.allow_files(3 * MAX_WAITING)
    try:
        with Bench(QUICK if options.quick else Options()) as bench:
            figures = measure(bench, workers, options.only or list(ROWS))
    except KeyboardInterrupt:
        return 130
    print(report(figures, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
