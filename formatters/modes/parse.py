"""Answer `?parse` and `?parse=INDEX` with one output read as JSON, which may also decide the status."""

from typing import Any

from formatters.contract import JSON_TYPE, Answer, Context, Formatter
from formatters.hookspecs import hookimpl
from formatters.jsontext import dumps, loads
from formatters.modes.job_output import index_of, status_of, text_at


class Parse(Formatter):
    """Return the output at the index given (default 0) as JSON, or the raw output when it is missing or not JSON."""

    name = "parse"
    queries = ("parse",)
    precedence = 200

    def format(self, context: Context) -> Answer:
        """Return the parsed output; its `statusCode` is the status if HTTP allows it as a final one."""
        try:
            value = _value(context)
            body = dumps(value)
        except (ValueError, LookupError, TypeError, RecursionError):
            return Answer(context.output, context.status)
        code = value.get("statusCode") if isinstance(value, dict) else None
        return Answer(body, status_of(code) or context.status, JSON_TYPE)


def _value(context: Context) -> Any:
    """Return one output as JSON. Raise ValueError, LookupError or TypeError if the raw output has to be the answer.

    TheEye stores strings. An old job may hold a number, a boolean or null instead, which needs no parsing.
    """
    if "parse" in context.repeated:
        raise ValueError("several indexes")
    index = index_of(context.query.get("parse", ""))
    output = context.output
    if isinstance(output, list) and index < len(output) and isinstance(output[index], int | float | None):
        return output[index]
    return loads(text_at(context, index))


@hookimpl
def register_formatters() -> list[Formatter]:
    """Register the formatter of `?parse`."""
    return [Parse()]
