"""Parse and write JSON as JavaScript does: tests compare stored outputs byte by byte."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

# Python stops at about 1000 levels, and a parsed value may be written at a deeper level.
MAX_DEPTH = 500
_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(text: str) -> Any:
    """Parse strict JSON. Raise ValueError, also for a number or a nesting that Python cannot represent."""
    try:
        value = json.loads(text, parse_float=_number, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if _is_deep(value):
        raise ValueError("the JSON is nested too deeply")
    return value


def dumps(value: Any) -> str:
    """Return compact JSON that UTF-8 can encode: escape lone surrogates."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _number(text: str) -> int | float | None:
    number = float(text)
    if not math.isfinite(number):
        return None  # JavaScript parses this as Infinity, and writes null
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item.values()
    elif isinstance(item, list):
        yield from item
