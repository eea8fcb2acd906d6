"""Escape text from outside, so that it can neither end a log line nor control a terminal."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

_VISIBLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # all but tabs and line feeds


def is_visible(text: str) -> bool:
    """Return whether a text has only visible ASCII characters; a pattern would take ten times as long."""
    return text.isascii() and text.isprintable() and " " not in text


def percent_encode(text: str) -> str:
    """Percent-encode everything but visible ASCII, and the percent sign."""
    return text if is_visible(text) and "%" not in text else quote(text, safe=_VISIBLE, errors="replace")


def escape(text: str) -> str:
    """Escape control characters, which could control a terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def indent(text: str) -> str:
    """Indent every line, so that none looks like a log message."""
    return "  " + text.replace("\n", "\n  ")


def iso_time(now: float) -> str:
    """Return a time as ISO 8601 in UTC, with milliseconds; `now` in seconds since the epoch."""
    seconds, fraction = divmod(now, 1)
    return f"{_iso_second(int(seconds))}.{int(fraction * 1000):03}Z"


@lru_cache(maxsize=2)  # the lines of one second share it
def _iso_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
