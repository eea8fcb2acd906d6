"""Parse and write JSON as JavaScript does, but keep all digits of integers (RFC 8259, ECMA-262).

A job may print anything: `loads` parses it or raises ValueError, or TooCostly before it parses (formatters/cost.py).
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from itertools import islice
from math import isinf
from typing import Any, NoReturn

from formatters.cost import HEAD, PIECE, check, one_at_a_time

LONG = 4096  # characters; a longer text is written in pieces
MANY = 256  # items of a list, or members of an object, that are written in one step
DEPTH = 100  # levels in which long values are looked for; Python allows about 1000 calls within each other

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode


def _number(text: str) -> float | int:
    """Parse a number with a fraction or exponent; return an int for a whole one, as JSON.stringify writes 1.0 as 1."""
    value = float(text)
    if -9007199254740992.0 < value < 9007199254740992.0:
        return int(value) if value.is_integer() else value
    if isinf(value):
        raise ValueError("a number that is too large for a double")
    if value.is_integer() and abs(value) < 1e21:
        return int(Decimal(repr(value)))
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _or_text(number: Any, text: str) -> Any:
    """Return the number, or its text if Python cannot hold it: no digit is lost."""
    try:
        return number(text)
    except ValueError:
        return text


_strict = json.JSONDecoder(parse_float=_number, parse_constant=_constant).decode
_float_or_text, _int_or_text = partial(_or_text, _number), partial(_or_text, int)
_any_number = json.JSONDecoder(parse_float=_float_or_text, parse_int=_int_or_text, parse_constant=_constant).decode
_lenient = json.JSONDecoder(parse_float=_float_or_text, parse_int=_int_or_text, parse_constant=lambda _: None).decode


# Matches the text before an exponent such as e-05, and the exponent: JavaScript writes 1e-05 as 0.00001, 1e-07 as 1e-7.
_SMALL = re.compile(r'((?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^"e]++|e(?!-0))++)(?:e-0([0-9]))?')
_MANTISSA = re.compile(r"([0-9])(?:\.([0-9]+))?$")


def _small(found: re.Match[str]) -> str:
    """Write a number below 0.0001 as ECMA-262's Number::toString does."""
    before, exponent = found.groups()
    if exponent is None:
        return found[0]
    if int(exponent) > 6:
        return f"{before}e-{exponent}"
    number = _MANTISSA.search(before, max(len(before) - 30, 0))
    assert number is not None
    whole, fraction = number.groups("")
    return f"{before[: number.start()]}0.{'0' * (int(exponent) - 1)}{whole}{fraction}"


def loads(text: str) -> Any:
    """Parse strict JSON: no NaN, no BOM. Raise ValueError (also for too deep nesting) or TooCostly."""
    with one_at_a_time(len(text)):
        return _loads(text, text.encode("utf-8", "surrogatepass"), _strict)


def loads_body(body: bytes) -> Any:
    """Parse strict JSON in UTF-8; return a number out of range as its text. Raise ValueError or TooCostly."""
    with one_at_a_time(len(body)):
        return _loads(body.decode(), body, _any_number)


def loads_document(body: bytes) -> Any:
    """Parse a document of TheEye like `loads_body`, but return None for NaN, as JSON.stringify writes null for it."""
    with one_at_a_time(len(body)):
        return _loads(body.decode("utf-8", "surrogatepass"), body, _lenient)


def is_json(text: str) -> bool:
    """Return whether JavaScript can parse a text as JSON; it accepts numbers of any size. Raise TooCostly."""
    try:
        with one_at_a_time(len(text)):
            _loads(text, text.encode("utf-8", "surrogatepass"), _any_number)
    except ValueError:
        return False
    return True


def _loads(text: str, encoded: bytes, decode: Callable[[str], Any]) -> Any:
    """Parse strict JSON; use `decode` if that fails for a number out of range, which is no JSONDecodeError."""
    if len(encoded) > HEAD:
        _fail_early(text)
    check(text, encoded)
    try:
        return _read(_strict, text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        if decode is _strict:
            raise
        return _read(decode, text)


def _read(decode: Callable[[str], Any], text: str) -> Any:
    try:
        return decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _fail_early(text: str) -> None:
    """Raise ValueError if the head already shows that the text is no JSON: then no cost has to be estimated."""
    head = text[:HEAD]
    try:
        _read(_strict, head)
    except json.JSONDecodeError as error:
        if error.pos < HEAD - 16 and not error.msg.startswith("Unterminated"):  # the end of the head is not the error
            raise
    except ValueError as error:
        if str(error) == "nested too deeply":
            raise


class TooLong(Exception):
    """Report a value whose JSON is longer than the limit."""


def dumps(value: Any, most: int | None = None) -> bytes:
    """Return compact JSON in UTF-8; keep the order, and escape lone surrogates as JSON.stringify does.

    Raise TooLong as soon as the JSON is longer than `most` bytes.
    """
    pieces = _pieces(value, _long_parts([value], DEPTH), DEPTH)
    return b"".join(pieces if most is None else _at_most(pieces, most))


def _at_most(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    for piece in pieces:
        most -= len(piece)
        if most < 0:
            raise TooLong
        yield piece


def _pieces(value: Any, long: set[int], depth: int) -> Iterator[bytes]:
    """Yield the JSON of a value in pieces: a copy of a whole text can take four bytes a character.

    `long` has the ids of all values with more than one piece, as _long_parts finds them in the next `depth` levels.
    """
    if id(value) not in long:
        yield _utf8(_javascript(_encode(value)))
    elif type(value) is str:
        yield b'"'
        for start in range(0, len(value), PIECE):
            yield _utf8(_encode(value[start : start + PIECE])[1:-1])
            time.sleep(0)  # under gevent other requests go on here
        yield b'"'
    elif type(value) is list:
        for start in range(0, len(value), MANY):
            items = value[start : start + MANY]
            yield b"," if start else b"["
            yield from _items(items, long if len(value) <= MANY else _long_parts(items, depth - 1), depth - 1)
            time.sleep(0)
        yield b"]"
    else:
        members, before = iter(value.items()), b"{"
        while some := dict(islice(members, MANY)):
            yield before
            yield from _members(some, long if len(value) <= MANY else _long_parts(some.values(), depth - 1), depth - 1)
            time.sleep(0)
            before = b","
        yield b"}"


def _members(some: dict[Any, Any], long: set[int], depth: int) -> Iterator[bytes]:
    """Yield the JSON of some members of an object, without brackets."""
    if long.isdisjoint(map(id, some.values())):
        yield _utf8(_javascript(_encode(some))[1:-1])
        return
    for number, (name, item) in enumerate(some.items()):
        yield b"," if number else b""
        yield _utf8(_encode({name: 0})[1:-2])
        yield from _pieces(item, long, depth)


def _items(items: list[Any], long: set[int], depth: int) -> Iterator[bytes]:
    """Yield the JSON of some items of a list, without brackets."""
    if long.isdisjoint(map(id, items)):
        yield _utf8(_javascript(_encode(items))[1:-1])
        return
    for number, item in enumerate(items):
        if number:
            yield b","
        yield from _pieces(item, long, depth)


def _long_parts(values: Iterable[Any], depth: int) -> set[int]:
    """Return the ids of the values that have to be written in pieces, and of such values in the next `depth` levels.

    The items of a value with more than MANY are left for later: it is written in parts of MANY, with pauses.
    """
    found: set[int] = set()
    for value in values:
        _find_long(value, depth, found, set())
    return found


def _find_long(value: Any, depth: int, found: set[int], above: set[int]) -> bool:
    """Add the ids of the value and its parts to `found` if they are long; return whether the value is."""
    is_long = False
    if type(value) is str:
        is_long = len(value) > LONG
    elif type(value) in (list, dict) and depth and id(value) not in above:  # the encoder refuses a value within itself
        is_long = len(value) > MANY
        if not is_long:
            above.add(id(value))
            for item in value if type(value) is list else value.values():
                is_long |= _find_long(item, depth - 1, found, above)
            above.remove(id(value))
    if is_long:
        found.add(id(value))
    return is_long


def _javascript(text: str) -> str:
    return _SMALL.sub(_small, text) if "e-0" in text else text


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
