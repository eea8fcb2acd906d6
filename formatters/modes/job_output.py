"""Read one element of a job's output and the HTTP status in it, for the modes `parse` and `response`."""

import re
from typing import Any

from formatters.contract import Context

INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_STATUS = re.compile(r"[2-5][0-9][0-9]", re.ASCII)


def index_of(argument: str) -> int:
    """Return the index in a query argument (canonical decimal form), 0 if it is empty. Raise ValueError."""
    if argument and not INDEX.fullmatch(argument):
        raise ValueError("it must be an index: 0, 1, 2 and so on")
    return int(argument or "0")


def text_at(context: Context, index: int) -> str:
    """Return the output at an index. Raise LookupError if there is none, TypeError if it is not a string."""
    if not isinstance(context.output, list):
        raise TypeError("the job's output is not an array")
    if index >= len(context.output):
        raise LookupError(f"the job has no output at index {index}")
    text = context.output[index]
    if not isinstance(text, str):
        raise TypeError(f"the job's output at index {index} is not a string")
    return text


def status_of(code: Any) -> int | None:
    """Return the status for an integer from 200 to 599, or for a string of its digits; else None."""
    if isinstance(code, (int, str)) and not isinstance(code, bool) and _STATUS.fullmatch(str(code)):
        return int(code)
    return None
