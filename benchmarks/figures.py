"""One measured figure beside the floor and what people do today, and the table of all of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

HEADINGS = ("row", "worker", "figure", "service", "floor", "ratio", "today", "to reach", "")


@dataclass(frozen=True)
class Figure:
    """A figure of the service, the same of the two others where they have it, and what it should come to."""

    row: str
    worker: str
    name: str
    service: float
    floor: float | None = None
    today: float | None = None
    goal: str = ""
    reached: bool | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the floor."""
        return self.service / self.floor if self.floor else None

    def at_most(self, limit: float, of: str = "") -> "Figure":
        """The same figure with an upper limit."""
        return replace(self, goal=f"at most {limit:g}{of}", reached=self.service <= limit)

    def at_least(self, limit: float) -> "Figure":
        """The same figure with a lower limit."""
        return replace(self, goal=f"at least {limit:g}", reached=self.service >= limit)

    def at_most_times(self, limit: float, base: float | None, what: str) -> "Figure":
        """The same figure, limited to so many times another; unknown where that was not measured."""
        reached = self.service <= limit * base if base else None
        return replace(self, goal=f"at most {limit:g}x {what}", reached=reached)

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return asdict(self) | {"ratio": self.ratio}

    def cells(self) -> list[str]:
        """For the table."""
        numbers = [number(self.service), number(self.floor), number(self.ratio), number(self.today)]
        verdict = {None: "", True: "reached", False: "MISSED"}[self.reached]
        return [self.row, self.worker, self.name, *numbers, self.goal, verdict]


def number(value: float | None) -> str:
    """Three digits that count, or a dash."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """All figures, aligned; what repeats itself is left out."""
    lines = [list(HEADINGS)]
    before = ["", ""]
    for figure in figures:
        cells = figure.cells()
        lines.append(["", "", *cells[2:]] if cells[:2] == before else cells)
        before = cells[:2]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.rjust(width) if 3 <= column <= 6 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()
