"""Derive a job's state and output from the last line of its script's log."""

from dataclasses import dataclass
from typing import Any

from sandbox.jsontext import dumps, loads

# The characters that JavaScript's trim() removes; Python's strip() removes others.
_JS_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)


@dataclass(frozen=True)
class Report:
    """Hold what the agent reads from a last line; `details` is the line if it is a JSON object."""

    state: Any = None
    output: Any = None
    details: dict[str, Any] | None = None


def last_line(log: str) -> str:
    """Return the last line, trimmed; ignore one final line break."""
    return log.removesuffix("\n").rpartition("\n")[2].strip(_JS_SPACE)


def read_last_line(line: str, *, killed: bool = False) -> Report:
    """Read a last line by TheEye's rules."""
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
    """Return the state that the supervisor stores: one that it knows, else `default`. It ignores the exit code."""
    return str(report.state) if report.state in ("success", "failure", "canceled") else default


def stored_output(output: Any) -> list[str]:
    """Return the array of strings that the supervisor stores; it is empty for null, `0`, `""` and `false`."""
    if not output and not isinstance(output, dict):
        return []
    if isinstance(output, str):
        return _from_string(output)
    if isinstance(output, list):
        return [item if isinstance(item, str) else dumps(item) for item in output]
    return [dumps(output)]


def stored_size(printed: int, line: str, output: Any) -> int:
    """Estimate the bytes that a job takes in MongoDB: its log, its last line, and its output in two forms."""
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
