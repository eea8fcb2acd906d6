"""`?csv`: a task's table as a CSV file (RFC 4180) that a spreadsheet can open without running anything.

A table is a list of objects or of lists, as JSON in one output, or with a row in each output.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from formatters import Answer, BadOutput, BadQuery, Context, Formatter, dumps, hookimpl, loads

SEPARATORS = {"": ",", "comma": ",", "semicolon": ";", "tab": "\t"}

EMPTY = 100_000  # cells that a table may have beyond twice those with a value

_QUOTED = re.compile(r'[",;\t\r\n]|^\s|\s$')
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\0]")  # to Excel, Calc and Sheets a formula
_NUMBER = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)


class Csv(Formatter):
    """Return the output's table as CSV; `?csv=semicolon` and `?csv=tab` for programs that want these."""

    name = "csv"
    queries = ("csv",)
    media_types = ("text/csv",)
    precedence = 150

    def check(self, query: Mapping[str, str]) -> None:
        """Refuse an unknown separator before the task is run."""
        if query.get("csv", "") not in SEPARATORS:
            raise BadQuery("csv can be comma, semicolon or tab")

    def format(self, context: Context) -> Answer:
        """Return the file with the job's status. Raise BadOutput for an output that is not a table."""
        separator = SEPARATORS[context.query.get("csv", "")]
        lines = [separator.join(map(cell, row)) or '""' for row in rows(table(context.output))]
        body = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
        disposition = f'attachment; filename="{file_name(context.job)}"'
        return Answer(body, context.status, "text/csv; charset=utf-8", {"Content-Disposition": disposition})


def table(output: Any) -> list[Any]:
    """Return the rows of an output: all objects or all lists. Raise BadOutput."""
    values = [_value(item) for item in output] if isinstance(output, list) else [output]
    if len(values) == 1 and isinstance(values[0], list) and all(isinstance(row, (dict, list)) for row in values[0]):
        values = values[0]
    if not all(isinstance(row, dict) for row in values) and not all(isinstance(row, list) for row in values):
        raise BadOutput("the output is not a table: a list of objects or a list of lists")
    return values


def rows(values: list[Any]) -> Iterable[list[Any]]:
    """Return the rows as lists; rows of objects get a first row with all their names. Raise BadOutput."""
    if not values or isinstance(values[0], list):
        return values
    names = list(dict.fromkeys(name for row in values for name in row))
    if len(names) * len(values) > EMPTY + 2 * sum(map(len, values)):  # rows that have few names in common
        raise BadOutput("the table would be almost empty")
    return [names, *([row.get(name) for name in names] for row in values)]


def cell(value: Any) -> str:
    """Return one value, quoted where needed; a text that a spreadsheet would calculate gets an apostrophe."""
    if not isinstance(value, str):
        text = "" if value is None else dumps(value).decode()
    elif _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        text = f"'{value}"
    else:
        text = value
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def file_name(job: Mapping[str, Any]) -> str:
    """Return the task's name and the job's id in characters that every file system accepts."""
    words = re.findall(r"[A-Za-z0-9]+", f"{job.get('name') or 'job'} {job.get('id') or ''}")
    return "-".join(words)[:100].lower() + ".csv"


def _value(item: Any) -> Any:
    try:
        return loads(item) if isinstance(item, str) else item
    except ValueError:
        return item


@hookimpl
def register_formatters() -> list[Formatter]:
    """Register the formatter of `?csv`."""
    return [Csv()]
