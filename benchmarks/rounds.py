"""Measure the rows in several rounds. Two commits are measured in turn, since the machine's speed changes with time."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from benchmarks.bench import Bench
from benchmarks.figures import Figure, medians
from benchmarks.processes import Service
from benchmarks.rows import ALONE, SHARED

Measure = Callable[[], list[Figure]]


def measure(benches: Sequence[Bench], worker: str, rows: Sequence[str], rounds: int) -> list[list[Figure]]:
    """Return the figures of these rows with one kind of worker, for each bench."""
    found: list[list[list[Figure]]] = []
    if shared := [row for row in SHARED if row in rows]:
        with ExitStack() as stack:
            up = [(bench, stack.enter_context(bench.service(worker))) for bench in benches]
            found += [_row(worker, row, rounds, [_shared(row, worker, *side) for side in up]) for row in shared]
    alone = [row for row in ALONE if row in rows]
    found += [_row(worker, row, rounds, [_alone(row, worker, bench) for bench in benches]) for row in alone]
    return [[figure for row in side for figure in row] for side in zip(*found, strict=True)]


def _shared(row: str, worker: str, bench: Bench, service: Service) -> Measure:
    return lambda: SHARED[row](bench, worker, service)


def _alone(row: str, worker: str, bench: Bench) -> Measure:
    return lambda: ALONE[row](bench, worker)


def _row(worker: str, row: str, rounds: int, sides: Sequence[Measure]) -> list[list[Figure]]:
    print(f"{worker}: {row}", file=sys.stderr, flush=True)  # progress, on standard error
    return in_turn(rounds, sides)


def in_turn(rounds: int, sides: Sequence[Measure]) -> list[list[Figure]]:
    """Measure all sides in order, every second round in reverse order; return the medians of each side."""
    found: list[list[list[Figure]]] = [[] for _ in sides]
    for number in range(rounds):
        order = list(zip(found, sides, strict=True))
        for measured, side in order if number % 2 == 0 else reversed(order):
            measured.append(side())
    return [medians(one) for one in found]
