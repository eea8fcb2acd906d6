"""The tables of docs/reliability.md."""

from collections.abc import Sequence

from support.load import Row

MEASURED = "Measured with `make drills`"


def renewed(page: str, rows: Sequence[Row], measured: str) -> tuple[str, list[str]]:
    """Return the page with the figures of these rows, and the faults for which it has no row.

    A fault that was measured several times has one row: all its requests, and the latest answer of them.
    """
    figures: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        figures.setdefault(row.fault.casefold(), {}).setdefault(row.worker, []).append(row)
    lines = [
        f"{MEASURED} {measured}.\n" if line.startswith(MEASURED) else _line(line, figures)
        for line in page.splitlines(keepends=True)
    ]
    return "".join(lines), list(figures)


def _line(line: str, figures: dict[str, dict[str, list[Row]]]) -> str:
    """Return a line of the page; if it is the row of a fault, with its figures, which are taken out of `figures`."""
    fault, *cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    found = figures.pop(fault.casefold(), None) if line.startswith("|") else None
    if found is None:
        return line
    cells[: len(found)] = [_cell(rows) for _, rows in sorted(found.items())]  # gevent, gthread; or both in one
    return f"| {' | '.join([fault, *cells])} |\n"


def _cell(rows: Sequence[Row]) -> str:
    """Return the figures of a fault and a kind of worker."""
    right, sent = sum(row.right for row in rows), sum(row.in_flight for row in rows)
    return f"{right}/{sent} · {max(row.latest for row in rows):.2f} s"
