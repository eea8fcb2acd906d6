"""Estimate the cost of parsing a JSON text before parsing it, and refuse a text that costs too much.

`json.loads` holds Python's lock until it returns, and under gevent it blocks the whole process: 60 MiB of `[],` make
20 million lists in half a minute and take 1.7 GB. So this module first counts brackets, commas, strings and digits with
functions that run in C, and multiplies the counts by prices.

The prices are upper bounds: bytes of memory in CPython, and nanoseconds to parse a value and to write it again, on a
core that parses 20 MB of records in a second. A text may cost SECONDS of time, and BASE bytes of memory plus SHARE for
each byte of the text. Within these limits a job document, one text in it that the mode parses, and the answer together
take less memory than ten times the received bytes plus 16 MiB.
"""

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache

from formatters.contract import BadOutput

SECONDS = 0.5
BASE = 12 << 20  # bytes
SHARE = 6  # bytes for each byte of a text
HEAD = 1 << 16  # bytes of a budget that are parsed without an estimate
PIECE = 1 << 18  # bytes counted in one step

_PRICES = {  # nanoseconds and bytes for one; each value costs `values`, and the price of its kind in addition
    "values": (90, 9),
    "strings": (100, 56),
    "keys": (100, 0),
    "new_keys": (0, 200),
    "lists": (330, 96),
    "objects": (220, 176),
    "numbers": (120, 32),
    "floats": (400, 0),
}

_NO_VALUE = b" \t\r\n[]{},:"
_SURROGATE = re.compile(rb"\\u[dD][89abAB]")
_LONG_NUMBER = re.compile(rb"[0-9]{50,}")  # the time of int() grows with the square of the length

_SMALL_NUMBER = b"e-", b"E-", b".0000"  # formatters/jsontext.py has to rewrite these numbers as JavaScript writes them


class TooCostly(BadOutput):
    """Refuse a JSON text with so many values that parsing it would block other requests or fill the memory."""

    def __init__(self) -> None:
        """Set the message."""
        super().__init__("the JSON has too many values for its size to be read while others wait")


@dataclass(slots=True)
class Cost:
    """Add up the estimated cost, in nanoseconds and bytes."""

    size: int = 0
    nanoseconds: int = 0
    memory: int = 0
    free: int = HEAD
    wide: bool = False  # a character beyond 16 bits makes CPython store its whole string with 4 bytes a character
    _keys: set[bytes] = field(default_factory=set)

    def _add(self, **counts: int) -> None:
        """Add the price of each kind, times its count."""
        for kind, count in counts.items():
            nanoseconds, memory = _PRICES[kind]
            self.nanoseconds += nanoseconds * count
            self.memory += memory * count

    def add_text(self, text: bytes, wide: bool) -> None:
        """Add the cost of a whole text. Raise TooCostly as soon as the sum is above the limit."""
        self.size += len(text)
        self.wide = self.wide or wide
        inside = False
        for piece in _pieces(text):
            parts = piece.split(b'"')
            strings, between = (parts[::2], parts[1::2]) if inside else (parts[1::2], parts[::2])
            self._add_outside(b" ".join(between))
            self._add_strings(strings, between[0 if inside else 1 :])
            inside ^= len(parts) % 2 == 0
            self.check()
            time.sleep(0)

    def _add_outside(self, text: bytes) -> None:
        """Add the cost of everything outside of strings."""
        lists, objects, values = text.count(b"["), text.count(b"{"), text.count(b",") + 1
        scalars = text.translate(None, _NO_VALUE)
        true, false, null = map(scalars.count, (b"true", b"false", b"null"))
        exponents = scalars.count(b"e") + scalars.count(b"E") - true - false
        floats = scalars.count(b".") + exponents
        digits = len(scalars) - 4 * true - 5 * false - 4 * null
        numbers = min(values, (digits + 2) // 3)  # CPython shares the numbers of one and two digits
        self._add(values=values, lists=lists, objects=objects, numbers=numbers, floats=floats)
        large = exponents - scalars.count(b"e-") - scalars.count(b"E-")
        self.memory += 48 * large  # JavaScript writes 1e20 with all its digits
        self.nanoseconds += 2000 * sum(map(scalars.count, _SMALL_NUMBER))
        self.nanoseconds += 80 * sum(map(len, _LONG_NUMBER.findall(text)))

    def _add_strings(self, strings: list[bytes], after: list[bytes]) -> None:
        """Add the cost of the strings. CPython stores equal keys once, with an entry in two hash tables."""
        keys = [string for string, rest in zip(strings, after, strict=False) if b":" in rest]
        known = len(self._keys)
        self._keys.update(keys)
        new = len(self._keys) - known
        self._add(strings=len(strings) - len(keys) + new, keys=len(keys), new_keys=new)
        if self.wide:
            self.memory += 3 * sum(len(string) for string in strings if not string.isascii() or b"\\u" in string)

    def check(self) -> None:
        """Raise TooCostly if the sum is above the limit."""
        share = SHARE - 2 * self.wide
        if self.nanoseconds > SECONDS * 1e9 or self.memory > BASE + share * self.size:
            raise TooCostly


_budget: ContextVar[Cost | None] = ContextVar("theeye_sync_budget", default=None)


class Budget:
    """Apply the limit of one text to the sum of all texts parsed in a `with` block."""

    def __enter__(self) -> None:
        """Start at zero."""
        self._token = _budget.set(Cost())

    def __exit__(self, *_: object) -> None:
        """Restore the budget from before."""
        _budget.reset(self._token)


_AT_ONCE = nullcontext()


def one_at_a_time(size: int) -> AbstractContextManager[None]:
    """Parse large texts one at a time, so that their memory does not add up and other requests run in between."""
    return _AT_ONCE if size <= HEAD else _alone()


@contextmanager
def _alone() -> Iterator[None]:
    with _reading():
        yield
    time.sleep(0)  # under gevent other requests go on here


@cache
def _reading() -> threading.Lock:
    """Return the lock of this process, made at the first use: made before gevent patches, it would block greenlets."""
    return threading.Lock()


def check(text: str, encoded: bytes) -> None:
    """Raise TooCostly if a JSON text costs too much to parse, alone or together with others in the same `Budget`."""
    cost = _budget.get()
    if cost is None and len(encoded) <= HEAD:
        return
    cost = cost or Cost()
    cost.free -= len(encoded)
    if cost.free < 0:
        cost.add_text(encoded, sys.getsizeof(text) > 3 * len(text) or bool(_SURROGATE.search(encoded)))


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut a text into pieces, with escaped quotation marks replaced: any that is left begins or ends a string."""
    start = 0
    while start < len(text):
        piece = text[start : start + PIECE]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # the last backslash escapes the next byte
            piece = text[start : start + PIECE + 1]
        start += len(piece)
        yield piece.replace(b"\\\\", b"\1").replace(b'\\"', b"\2")
