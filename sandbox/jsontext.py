"""Read and write JSON as JavaScript does: tests compare stored outputs byte for byte."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

# Python stops at about 1000 levels, and a value that was read may be written at a deeper level.
MAX_DEPTH = 500
_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(text: str) -> Any:
    """Read strict JSON. Raise ValueError, also for a number or nesting that Python cannot hold."""
    try:
        value = json.loads(text, parse_float=_number, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if _is_deep(value):
        raise ValueError("the JSON is nested too deeply")
    return value


def dumps(value: Any) -> str:
    """Write compact JSON that UTF-8 can encode: a lone surrogate stays an escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _number(text: str) -> int | float | None:
    number = float(text)
    if not math.isfinite(number):
        return None  # JavaScript reads Infinity here, and writes null
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
