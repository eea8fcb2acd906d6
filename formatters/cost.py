"""Tell what it would cost to read a JSON text, before anything of it is read, and refuse what costs too much.

`json.loads` keeps Python's lock, and under gevent the whole process, until it has ended: 60 MiB of `[],` are 20 million
lists, half a minute and 1.7 GB. So brackets, commas, strings and digits are counted first, with what runs in C. The
prices are upper bounds: bytes as CPython uses them, and nanoseconds to read a value and write it again, as measured on
a core that reads 20 MB of records in a second. A text may cost SECONDS, and BASE bytes plus SHARE for each of its own:
then a job document, one text of it that its mode reads, and the answer take less than ten times what came and 16 MiB.
"""

import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache

from formatters.contract import BadOutput

SECONDS = 0.5
BASE = 12 << 20  # bytes
SHARE = 6  # bytes for each byte of a text
HEAD = 1 << 16  # bytes of a budget that are read without being counted
PIECE = 1 << 18  # bytes that are counted at once

_PRICES = {  # nanoseconds and bytes of one; a value takes a slot, and what its kind takes beside it
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
_LONG_NUMBER = re.compile(rb"[0-9]{50,}")  # int() takes a time that grows with the square of the length

_SMALL_NUMBER = b"e-", b"E-", b".0000"  # which JavaScript writes in another way than Python


class TooCostly(BadOutput):
    """Refuse a JSON text of so many values that reading it would hold up other requests, or fill the memory."""

    def __init__(self) -> None:
        """Say what is wrong with it."""
        super().__init__("the JSON has too many values for its size to be read while others wait")


@dataclass(slots=True)
class Cost:
    """Add up what has been counted, in nanoseconds and bytes."""

    size: int = 0
    nanoseconds: int = 0
    memory: int = 0
    free: int = HEAD
    wide: bool = False  # whether a character beyond 16 bits makes whole strings four times as large
    _keys: set[bytes] = field(default_factory=set)

    def _add(self, **counts: int) -> None:
        """Add so many of each kind at its price."""
        for kind, count in counts.items():
            nanoseconds, memory = _PRICES[kind]
            self.nanoseconds += nanoseconds * count
            self.memory += memory * count

    def add_text(self, text: bytes, wide: bool) -> None:
        """Count a whole text. Raise TooCostly as soon as it is."""
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
        """Count all but the strings."""
        lists, objects, values = text.count(b"["), text.count(b"{"), text.count(b",") + 1
        scalars = text.translate(None, _NO_VALUE)
        true, false, null = map(scalars.count, (b"true", b"false", b"null"))
        exponents = scalars.count(b"e") + scalars.count(b"E") - true - false
        floats = scalars.count(b".") + exponents
        digits = len(scalars) - 4 * true - 5 * false - 4 * null
        numbers = min(values, (digits + 2) // 3)  # Python shares those of one and two digits
        self._add(values=values, lists=lists, objects=objects, numbers=numbers, floats=floats)
        large = exponents - scalars.count(b"e-") - scalars.count(b"E-")
        self.memory += 48 * large  # JavaScript writes 1e20 with all its digits
        self.nanoseconds += 2000 * sum(map(scalars.count, _SMALL_NUMBER))
        self.nanoseconds += 80 * sum(map(len, _LONG_NUMBER.findall(text)))

    def _add_strings(self, strings: list[bytes], after: list[bytes]) -> None:
        """Count the strings. A key is held once however often it comes, but has an entry in two tables."""
        keys = [string for string, rest in zip(strings, after, strict=False) if b":" in rest]
        known = len(self._keys)
        self._keys.update(keys)
        new = len(self._keys) - known
        self._add(strings=len(strings) - len(keys) + new, keys=len(keys), new_keys=new)
        if self.wide:
            self.memory += 3 * sum(len(string) for string in strings if not string.isascii() or b"\\u" in string)

    def check(self) -> None:
        """Raise TooCostly where it is too much by now."""
        share = SHARE - 2 * self.wide
        if self.nanoseconds > SECONDS * 1e9 or self.memory > BASE + share * self.size:
            raise TooCostly


_budget: ContextVar[Cost | None] = ContextVar("theeye_sync_budget", default=None)


@contextmanager
def budget() -> Iterator[None]:
    """Let all texts that are read in here cost together what one may."""
    token = _budget.set(Cost())
    try:
        yield
    finally:
        _budget.reset(token)


@contextmanager
def one_at_a_time(size: int) -> Iterator[None]:
    """Read large texts one at a time, so that what others do comes in between, and their memory does not add up."""
    if size <= HEAD:
        yield
    else:
        with _reading():
            yield
        time.sleep(0)  # under gevent other requests go on here


@cache
def _reading() -> threading.Lock:
    """Return the lock of this process, made at the first use: one made before gevent's patching would block."""
    return threading.Lock()


def check(text: str, encoded: bytes) -> None:
    """Raise TooCostly where a JSON text costs too much to be read, alone or after others under the same `budget`."""
    cost = _budget.get() or Cost()
    cost.free -= len(encoded)
    if cost.free < 0:
        cost.add_text(encoded, sys.getsizeof(text) > 3 * len(text) or bool(_SURROGATE.search(encoded)))


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut a text into pieces in which a quotation mark is the end of a string: escaped ones stand for nothing."""
    start = 0
    while start < len(text):
        piece = text[start : start + PIECE]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # the next byte belongs to the last one
            piece = text[start : start + PIECE + 1]
        start += len(piece)
        yield piece.replace(b"\\\\", b"\1").replace(b'\\"', b"\2")
