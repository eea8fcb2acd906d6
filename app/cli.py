"""`theeye-sync formatters`, or `flask --app wsgi formatters`: the modes, what selects them, and what failed to load."""

from collections.abc import Callable, Sequence

import click

from formatters import Mode, Registry

COLUMNS = ("MODE", "PRECEDENCE", "SELECTED BY", "PLUGIN", "VERSION")


def formatters_command(registry: Callable[[], Registry]) -> click.Command:
    """The command, over the formatters of this service."""

    def show() -> None:
        click.echo(listing(registry()))

    return click.Command("formatters", callback=show, help="List the response modes in order of precedence.")


def listing(registry: Registry) -> str:
    """The modes as a table, and below it the plugins that were skipped."""
    lines = _table([COLUMNS, *map(_row, registry.modes)])
    for failure in registry.failures:
        origin = "" if failure.source == failure.name else f" ({failure.source})"
        lines.append(f"not loaded: {failure.name}{origin}: {failure.reason}")
    return "\n".join(lines)


def _row(mode: Mode) -> tuple[str, ...]:
    selected = [*(f"?{query}" for query in mode.queries), *(f"Accept: {type_}" for type_ in mode.media_types)]
    return (
        mode.name,
        f"{mode.precedence:g}",
        ", ".join(selected) or "nothing else asked for",
        mode.plugin,
        mode.version or "-",
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
