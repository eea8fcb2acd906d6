"""Read and write the tables of docs/reliability.md."""

import re
from collections.abc import Sequence

from support.load import Row

MEASURED = "Measured with `make drills`"
FIGURES = re.compile(r"\| \d+/\d+ · [\d.]+ s \|")

Figures = dict[str, dict[str, list[Row]]]  # by fault, in lower case, and kind of worker


def renewed(page: str, rows: Sequence[Row], measured: str) -> tuple[str, list[str]]:
    """Return the page with the figures of these rows, and the faults that only the page or only the rows have.

    A fault that was measured several times has one line: all its requests, and the latest answer of them.
    """
    figures: Figures = {}
    for row in rows:
        figures.setdefault(row.fault.casefold(), {}).setdefault(row.worker, []).append(row)
    lines = page.splitlines(keepends=True)
    known = {_cells(line)[0].casefold() for line in lines if FIGURES.search(line)}
    text = [
        f"{MEASURED} {measured}.\n" if line.startswith(MEASURED) else _renewed_line(line, figures) for line in lines
    ]
    return "".join(text), sorted(known ^ figures.keys())


def _renewed_line(line: str, figures: Figures) -> str:
    """Return a line of the page; replace the figures in a fault's line."""
    fault, *cells = _cells(line)
    found = figures.get(fault.casefold()) if FIGURES.search(line) else None
    if found is None:
        return line
    cells[: len(found)] = [_cell(rows) for _, rows in sorted(found.items())]  # gevent, gthread; or both in one
    return f"| {' | '.join([fault, *cells])} |\n"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _cell(rows: Sequence[Row]) -> str:
    """Return the figures of one fault and one kind of worker."""
    right, sent = sum(row.right for row in rows), sum(row.in_flight for row in rows)
    return f"{right}/{sent} · {max(row.latest for row in rows):.2f} s"
