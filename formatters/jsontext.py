"""Read and write JSON as JavaScript does, without losing what JavaScript loses (RFC 8259, ECMA-262).

A job may print anything: `loads` reads it or raises ValueError, and no other exception.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from math import isinf
from typing import Any, NoReturn

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode


def _number(text: str) -> float | int:
    """Read a number with a fraction or exponent; a whole one becomes an int, as JSON.stringify writes 1.0 as 1."""
    value = float(text)
    if -(2**53) < value < 2**53:
        return int(value) if value.is_integer() else value
    if isinf(value):
        raise ValueError("a number that no double can hold")
    if value.is_integer() and abs(value) < 1e21:
        return int(Decimal(repr(value)))
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _or_text(number: Any, text: str) -> Any:
    """Return the number, or its text where Python cannot hold it, so that no digit is lost."""
    try:
        return number(text)
    except ValueError:
        return text


_strict = json.JSONDecoder(parse_float=_number, parse_constant=_constant).decode
_float_or_text, _int_or_text = partial(_or_text, _number), partial(_or_text, int)
_any_number = json.JSONDecoder(parse_float=_float_or_text, parse_int=_int_or_text, parse_constant=_constant).decode
_lenient = json.JSONDecoder(parse_float=_float_or_text, parse_int=_int_or_text, parse_constant=lambda _: None).decode


# Matches a string, which is kept as it is, or a number that Python writes as 1e-05 and JavaScript as 0.00001 or 1e-7.
_SMALL = re.compile(r'"(?:[^"\\]|\\.)*"|(-?)([0-9])(?:\.([0-9]+))?e-0([0-9])')


def _small(found: re.Match[str]) -> str:
    """Write a number below 0.0001 as ECMA-262's Number::toString does."""
    sign, first, rest, exponent = found.groups()
    if first is None:
        return found[0]
    if int(exponent) > 6:
        return found[0].replace("e-0", "e-")
    return f"{sign}0.{'0' * (int(exponent) - 1)}{first}{rest or ''}"


def loads(text: str) -> Any:
    """Read strict JSON: no NaN, no BOM. Raise ValueError, also for a text that is nested too deeply."""
    return _read(_strict, text)


def loads_body(body: bytes) -> Any:
    """Read strict JSON in UTF-8; a number out of range is returned as its text. Raise ValueError."""
    text = body.decode()
    try:
        return loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # perhaps a number out of range: read again, slowly, so that the rest is not lost
        return _read(_any_number, text)


def loads_document(body: bytes) -> Any:
    """Read a document of TheEye as `loads_body` does, but NaN as None, which is how JSON.stringify writes it."""
    text = body.decode("utf-8", "surrogatepass")
    try:
        return loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _read(_lenient, text)


def _read(decode: Callable[[str], Any], text: str) -> Any:
    try:
        return decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: Any) -> bytes:
    """Write compact UTF-8 in the order given; escape lone surrogates, as JSON.stringify does."""
    text = _encode(value)
    if "e-0" in text:
        text = _SMALL.sub(_small, text)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
