"""Derive a job's state and output from the last line of its script's log; pure functions."""

from dataclasses import dataclass
from typing import Any

from sandbox.jsontext import dumps, loads

# What JavaScript's trim() removes, which is not what Python's strip() does.
_JS_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)


@dataclass(frozen=True)
class Report:
    """Hold what the agent read from a last line; `details` is the line, if it was a JSON object."""

    state: Any = None
    output: Any = None
    details: dict[str, Any] | None = None


def last_line(log: str) -> str:
    """Return the last line, trimmed; one final line break is ignored."""
    return log.removesuffix("\n").rpartition("\n")[2].strip(_JS_SPACE)


def read_last_line(line: str, *, killed: bool = False) -> Report:
    """Read a last line by TheEye's rule."""
    if killed:
        return Report(state="killed")
    try:
        value = loads(line)
    except ValueError:
        return Report(state=line)
    if isinstance(value, dict):
        return _read_object(value)
    if isinstance(value, list):
        return Report(output=value)
    return Report(state=value, output=value) if isinstance(value, str) else Report(state=line)


def stored_state(report: Report, default: str = "success") -> str:
    """Return the state that the supervisor stores: one that it knows, else `default`. The exit code plays no part."""
    return str(report.state) if report.state in ("success", "failure", "canceled") else default


def stored_output(output: Any) -> list[str]:
    """Return the array of strings that the supervisor stores; null, `0`, `""` and `false` are an empty one."""
    if not output and not isinstance(output, dict):
        return []
    if isinstance(output, str):
        return _from_string(output)
    if isinstance(output, list):
        return [item if isinstance(item, str) else dumps(item) for item in output]
    return [dumps(output)]


def stored_size(printed: int, line: str, output: Any) -> int:
    """Return about how many bytes a job takes in MongoDB: its log, its last line, and its output in two forms."""
    texts = (line, dumps(output), dumps(stored_output(output)))
    return printed + sum(len(text.encode()) for text in texts)


def _read_object(value: dict[str, Any]) -> Report:
    candidates = (value.get("output"), value.get("data"), value)
    output = next(candidate for candidate in candidates if candidate is not None)
    return Report(value.get("state"), output, value)


def _from_string(output: str) -> list[str]:
    try:
        value = loads(output)
    except ValueError:
        return [output]
    return stored_output(value) if isinstance(value, list) else [output]
