"""What `parse` and `response` have in common: an output by its index, and the status that a job names."""

import re
from typing import Any

from formatters.contract import Context

INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_STATUS = re.compile(r"[2-5][0-9][0-9]", re.ASCII)


def index_of(argument: str) -> int:
    """The canonical decimal index of an argument, 0 for an empty one. Raises ValueError."""
    if argument and not INDEX.fullmatch(argument):
        raise ValueError("it must be an index: 0, 1, 2 and so on")
    return int(argument or "0")


def text_at(context: Context, index: int) -> str:
    """The output at an index. Raises LookupError or TypeError where there is none to read."""
    if not isinstance(context.output, list):
        raise TypeError("the job's output is no array")
    if index >= len(context.output):
        raise LookupError(f"the job has no output at index {index}")
    text = context.output[index]
    if not isinstance(text, str):
        raise TypeError(f"the job's output at index {index} is no string")
    return text


def status_of(code: Any) -> int | None:
    """An integer 200-599 or its digits in a string, else None."""
    if isinstance(code, (int, str)) and not isinstance(code, bool) and _STATUS.fullmatch(str(code)):
        return int(code)
    return None
