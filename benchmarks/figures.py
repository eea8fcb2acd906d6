"""Represent measured figures beside those of the floor and of polling, and print them as tables."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

HEADINGS = ("row", "worker", "figure", "service", "floor", "ratio", "today", "to reach", "")
COMPARED = ("row", "worker", "figure", "before", "after", "after/before", "before/floor", "after/floor", "to reach", "")


@dataclass(frozen=True)
class Figure:
    """Hold a figure of the service, those of the floor and of polling if there are any, and the goal."""

    row: str
    worker: str
    name: str
    service: float
    floor: float | None = None
    today: float | None = None
    goal: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return the ratio of the service's figure to the floor."""
        return quotient(self.service, self.floor)

    @property
    def reached(self) -> bool | None:
        """Return whether the goal is reached; None if there is none, or its base was not measured."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.service >= self.least) and (self.most is None or self.service <= self.most)

    def at_most(self, limit: float) -> "Figure":
        """Return the same figure with an upper limit."""
        return replace(self, goal=f"at most {limit:g}", most=limit)

    def at_least(self, limit: float) -> "Figure":
        """Return the same figure with a lower limit."""
        return replace(self, goal=f"at least {limit:g}", least=limit)

    def at_most_times(self, limit: float, base: float | None, what: str) -> "Figure":
        """Return the same figure with the upper limit `limit` times `base`; `base` is None if it was not measured."""
        return replace(self, goal=f"at most {limit:g}x {what}", most=limit * base if base else None)

    def as_json(self) -> dict[str, Any]:
        """Return the figure as a JSON object."""
        return asdict(self) | {"ratio": self.ratio, "reached": self.reached}

    def verdict(self) -> str:
        """Return the table's word for whether the goal is reached."""
        return {None: "", True: "reached", False: "MISSED"}[self.reached]

    def cells(self) -> list[str]:
        """Return the figure's cells in the table."""
        numbers = [number(self.service), number(self.floor), number(self.ratio), number(self.today)]
        return [self.row, self.worker, self.name, *numbers, self.goal, self.verdict()]


def quotient(value: float, base: float | None) -> float | None:
    """Return value / base, or None without a base."""
    return value / base if base else None


def medians(rounds: Sequence[Sequence[Figure]]) -> list[Figure]:
    """Return the median of each figure over several rounds."""
    return [_median(same) for same in zip(*rounds, strict=True)]


def _median(same: Sequence[Figure]) -> Figure:
    def middle(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return median(known) if known else None

    return replace(
        same[0],
        service=median(one.service for one in same),
        floor=middle(one.floor for one in same),
        today=middle(one.today for one in same),
        least=middle(one.least for one in same),
        most=middle(one.most for one in same),
    )


def number(value: float | None) -> str:
    """Return a number with three significant digits, or a dash."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """Return the table of all figures."""
    return _aligned(HEADINGS, [figure.cells() for figure in figures])


def comparison(before: Sequence[Figure], after: Sequence[Figure]) -> str:
    """Return the table of two commits' figures side by side, with the goals of the second."""
    return _aligned(COMPARED, [_compared(*pair) for pair in zip(before, after, strict=True)])


def _compared(before: Figure, after: Figure) -> list[str]:
    values = (before.service, after.service, quotient(after.service, before.service), before.ratio, after.ratio)
    return [after.row, after.worker, after.name, *map(number, values), after.goal, after.verdict()]


def _aligned(headings: Sequence[str], rows: Sequence[list[str]]) -> str:
    """Return a table with aligned columns; leave out a row's name and worker if they repeat those above."""
    lines, before = [list(headings)], ["", ""]
    for cells in rows:
        lines.append(["", "", *cells[2:]] if cells[:2] == before else cells)
        before = cells[:2]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    words = len(cells) - 2  # the goal and its verdict
    aligned = [
        cell.rjust(width) if 3 <= column < words else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()
