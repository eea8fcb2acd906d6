"""Run the benchmarks, print a table and write the figures as JSON: python -m benchmarks."""

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.against import named, service_of
from benchmarks.bench import INSTANT, QUICK, WORKERS, Bench, Options
from benchmarks.figures import Figure, comparison, table
from benchmarks.processes import load_tool, wrk
from benchmarks.rounds import measure
from benchmarks.rows import ROWS

KINDS = ("gevent", "gthread")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what a request costs.")
    parser.add_argument("--quick", action="store_true", help="few and short, to see that it works")
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--worker", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--against", metavar="COMMIT", type=named, help="measure this commit too, in turn with this")
    parser.add_argument("--rounds", type=int, default=1, help="measure each row so often and take the medians")
    parser.add_argument("--serve", action="store_true", help="measure nothing: keep a service up to be profiled")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results.json"), help="the file for the JSON")
    return parser.parse_args(arguments)


def benches(stack: ExitStack, given: argparse.Namespace) -> list[Bench]:
    """Return a bench for this checkout, preceded by one for the commit that it is compared with."""
    options = QUICK if given.quick else Options()
    after = stack.enter_context(Bench(options))
    if not given.against:
        return [after]
    service = stack.enter_context(service_of(given.against.hash))
    return [stack.enter_context(Bench(options, service, todays=after.todays)), after]


def serve(bench: Bench, worker: str) -> None:
    """Run a warm service and everything that it needs, until Ctrl-C."""
    with bench.service(worker) as service:
        load = " ".join(wrk(service.port, INSTANT, 32, 60).command)
        print(f"{service.url}, workers {service.worker_pids()}\nload: {load}", flush=True)
        signal.pause()


def report(sides: Sequence[Sequence[Figure]], given: argparse.Namespace) -> str:
    """Return the machine's description and the table, and write both to the file."""
    about: dict[str, Any] = machine.description() | {
        "load": load_tool((QUICK if given.quick else Options()).seconds),
        "gunicorn workers": WORKERS,
        "HTTP parser": "Python" if machine.installed("gunicorn_h1c") == "none" else "gunicorn_h1c",
        "rounds": given.rounds,
    }
    found = {"figures": [one.as_json() for one in sides[-1]]}
    if given.against:
        about |= {"before": str(given.against), "after": "this checkout"}
        found["before"] = [one.as_json() for one in sides[0]]
    given.out.write_text(json.dumps({"machine": about, **found}, indent=1) + "\n")
    lines = comparison(sides[0], sides[1]) if given.against else table(sides[0])
    return "\n".join([*(f"{name}: {value}" for name, value in about.items()), "", lines])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return the exit status; end all processes, also after Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = parse(arguments)
    workers = KINDS if given.worker == "both" else (given.worker,)
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not installed: apt-get install redis-server")
    try:
        with ExitStack() as stack:
            both = benches(stack, given)
            if given.serve:
                serve(both[-1], workers[0])
            sides: list[list[Figure]] = [[] for _ in both]
            for worker in workers:
                for side, found in zip(sides, measure(both, worker, given.only or ROWS, given.rounds), strict=True):
                    side += found
    except KeyboardInterrupt:
        return 130
    print(report(sides, given))
    return 0


if __name__ == "__main__":
    sys.exit(main())
