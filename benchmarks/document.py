"""Print the figures of a results file as the table of docs/performance.md.

python -m benchmarks.document [FILE]

A file from `--against` has two sides; the table then has four columns for the service.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import number

WORKERS = ("gevent", "gthread")
CPU = "CPU ms a request"
WAITING = tuple(f"with {count} waiting" for count in ("10", "1,000", "3,000"))
SIZES = tuple(f"{CPU}, {size} kB" for size in ("1", "10", "100", "1,000"))

Found = Mapping[tuple[str, str, str], Mapping[str, Any]]  # by row, worker and name


class Line(NamedTuple):
    """Describe one line of the table: its label, its figures by row and name, and the format of a cell."""

    label: str
    figures: Sequence[tuple[str, str]]
    written: Callable[[Sequence[Mapping[str, Any]]], str]
    goal: str = ""


def numbers(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures in order, with a dash for one that was not measured."""
    return " / ".join(number(one["service"]) if one else "–" for one in found)


def times_floor(found: Sequence[Mapping[str, Any]]) -> str:
    """Return a figure, and its ratio to the floor."""
    return f"{number(found[0]['service'])} ({found[0]['ratio']:.1f} ×)"


def waits(found: Sequence[Mapping[str, Any]]) -> str:
    """Return how many waits were answered, how late the last one was, and the memory of each."""
    answered, late, memory = found
    return f"{number(answered['service'])}, {number(late['service'])} ms, {number(memory['service'])} kB"


def parked(count: str, seconds: int) -> Line:
    """Return the line for a number of waits."""
    names = ("answered", "ms late, most", "kB a wait")
    label = f"{count} waits of {seconds} s: answered, latest, memory of each"
    limit = "all, 2,000 ms; gevent 40 kB" + (", gthread 60 kB" if count == "1,000" else "")
    return Line(label, [(f"parked, {count}", name) for name in names], waits, limit)


LINES = (
    Line("calls to TheEye of a warm request", [("warm request", "calls to TheEye a request")], numbers, "2"),
    Line("Redis commands of a warm request", [("warm request", "Redis commands a request")], numbers, "0"),
    *(
        line
        for count, reach in ((32, "gevent 4.5 × floor; gthread 1.6 × gevent"), (128, "as above"))
        for line in (
            Line(f"requests/s, {count} connections", [(f"throughput, {count}", "requests/s")], numbers, "1,300"),
            Line(f"{CPU}, {count} connections", [(f"throughput, {count}", CPU)], times_floor, reach),
        )
    ),
    Line(
        "ms added to a task of 50 ms, one at a time, p50 / p99",
        [("one at a time", "ms added, p50"), ("one at a time", "ms added, p99")],
        numbers,
    ),
    Line(
        "ms added to a workflow of two steps of 50 ms, p50 / p99",
        [("workflow of two steps", "ms added, p50"), ("workflow of two steps", "ms added, p99")],
        numbers,
    ),
    parked("1,000", 5),
    parked("3,000", 5),
    parked("10,000", 30),
    Line(f"{CPU} while 10 / 1,000 / 3,000 others wait", [(row, CPU) for row in WAITING], numbers, "flat"),
    Line(
        f"{CPU}, output of 1 kB / 10 kB / 100 kB / 1 MB",
        [("outputs", name) for name in SIZES],
        numbers,
        "grows with the bytes only",
    ),
)


def table(sides: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the table; `sides` has the figures by the word for the heading, the newest last."""
    found = {word: {(one["row"], one["worker"], one["name"]): one for one in side} for word, side in sides.items()}
    columns = [(worker, word) for worker in WORKERS for word in found]
    headings = ["", *(f"{worker} {word}".strip() for worker, word in columns), "floor", "today", "to reach"]
    lines = [headings, ["---"] * len(headings)]
    for line in LINES:
        newest = _figures(line, list(found.values())[-1], WORKERS[0])
        beside = [_beside(newest, key) for key in ("floor", "today")]
        cells = [_cell(line, _figures(line, found[word], worker)) for worker, word in columns]
        lines.append([line.label, *cells, *beside, line.goal])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _figures(line: Line, found: Found, worker: str) -> list[Mapping[str, Any]]:
    return [found.get((row, worker, name), {}) for row, name in line.figures]


def _cell(line: Line, figures: Sequence[Mapping[str, Any]]) -> str:
    if not any(figures) or (line.written is not numbers and not all(figures)):
        return ""
    return line.written(figures)


def _beside(figures: Sequence[Mapping[str, Any]], key: str) -> str:
    """Return the floor or today's figure of a line; only one if it is the same for all figures."""
    known = [one[key] for one in figures if one.get(key)]
    return " / ".join(map(number, known if len(set(known)) > 1 else known[:1]))


def main(path: Path) -> None:
    """Print the table of a results file of `python -m benchmarks`."""
    results = json.loads(path.read_text())
    after = results["figures"]
    print(table({"before": results["before"], "after": after} if "before" in results else {"": after}))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "benchmarks/results.json"))
