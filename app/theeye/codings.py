"""Undo a Content-Encoding (RFC 9110, 8.4): a client's, or that of a proxy which compresses whatever passes."""

import time
import zlib
from collections.abc import Iterator

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})

_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_TAKEN = 4 * 1024  # bytes of a body that are looked at at once; more would be copied once for each small stream in it
_GIVEN = 64 * 1024  # bytes that come out at once, at most


def decoded(body: bytes, coding: str, most: int) -> bytes:
    """Return a body without its coding, cut off soon after `most` bytes. Raise ValueError for a broken one.

    A body in a coding that is not known stays as it is.
    """
    coding = coding.strip().lower()
    if coding not in CODINGS or not body:
        return body
    found, size = [], 0
    for piece in inflated(body, coding):
        found.append(piece)
        size += len(piece)
        if size > most:
            break
    return b"".join(found)


def inflated(body: bytes, coding: str) -> Iterator[bytes]:
    """Yield a body without its coding, one of CODINGS, in pieces. Raise ValueError for a broken one.

    It may consist of several streams, and zeros may follow (RFC 1952, 2.2; gzip, Node).
    """
    form = _form(body, coding)
    unzip = zlib.decompressobj(form)
    for start in range(0, len(body), _TAKEN):
        data = body[start : start + _TAKEN]
        while data:
            if unzip.eof:
                data = data.lstrip(b"\0")
                if not data:
                    break
                unzip = zlib.decompressobj(form)
            yield from _given(unzip, data)
            data = unzip.unused_data
        time.sleep(0)  # under gevent other requests go on here
    if not unzip.eof:
        raise ValueError("compressed and cut off")


def _given(unzip: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """Yield all that comes of some bytes, up to the end of the stream."""
    while True:
        try:
            piece = unzip.decompress(data, _GIVEN)
        except zlib.error:
            raise ValueError("compressed, but damaged or in another form") from None
        yield piece
        data = unzip.unconsumed_tail
        if unzip.eof or (not data and len(piece) < _GIVEN):
            return


def _form(body: bytes, coding: str) -> int:
    """Return zlib's number for how a body is compressed: some send `deflate` without zlib's header."""
    if coding != "deflate":
        return _GZIP
    has_header = body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
    return _ZLIB if has_header else _RAW
