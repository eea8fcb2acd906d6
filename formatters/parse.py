"""`?parse` and `?parse=INDEX`: one output read as JSON, which may also decide the status."""

import re
from typing import Any

from formatters.contract import JSON_TYPE, Answer, Context, Formatter
from formatters.hookspecs import hookimpl
from formatters.jsontext import dumps, loads

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_STATUS = re.compile(r"[2-5][0-9][0-9]", re.ASCII)


class Parse(Formatter):
    """The output at the index given (default 0) as JSON; the raw output when it is not there or not JSON."""

    name = "parse"
    queries = ("parse",)
    precedence = 200

    def format(self, context: Context) -> Answer:
        """The parsed output with its own `statusCode`, where HTTP can carry it as a final status."""
        try:
            value = loads(_text(context))
            body = dumps(value)
        except (ValueError, LookupError, TypeError, RecursionError):
            return Answer(context.output, context.status)
        return Answer(body, _status_code(value) or context.status, JSON_TYPE)


def _text(context: Context) -> str:
    """The output to read. Raises LookupError or TypeError where there is none."""
    index = context.query.get("parse", "") or "0"
    if not _INDEX.fullmatch(index):
        raise LookupError(index)
    if not isinstance(context.output, list):
        raise TypeError("the output is no array")
    text = context.output[int(index)]
    if not isinstance(text, str):
        raise TypeError("the output is no string")
    return text


def _status_code(value: Any) -> int | None:
    """An integer 200-599 or its digits in a string, else None."""
    code = value.get("statusCode") if isinstance(value, dict) else None
    if isinstance(code, (int, str)) and not isinstance(code, bool) and _STATUS.fullmatch(str(code)):
        return int(code)
    return None


@hookimpl
def register_formatters() -> list[Formatter]:
    """The formatter of `?parse`."""
    return [Parse()]
