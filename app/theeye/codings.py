"""Decode a Content-Encoding (RFC 9110, 8.4), of a client or of a proxy in front of TheEye."""

import time
import zlib
from collections.abc import Iterator

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})

_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_TAKEN = 4 * 1024  # bytes decoded in one step; a larger step would be copied for each small stream in it
_GIVEN = 64 * 1024  # the most bytes of a decoded piece


def decoded(body: bytes, coding: str, most: int) -> bytes:
    """Return the decoded body, cut off soon after `most` bytes. Raise ValueError for broken data.

    Return a body in an unknown coding unchanged.
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
    """Yield the decoded body in pieces; the coding is one of CODINGS. Raise ValueError for broken data.

    With gzip the body may consist of several streams, with zeros after the last (RFC 1952, 2.2). With deflate the data
    after the first stream is left out. Node reads both in the same way.
    """
    form = _form(body, coding)
    unzip = zlib.decompressobj(form)
    for start in range(0, len(body), _TAKEN):
        data = body[start : start + _TAKEN]
        while data:
            if unzip.eof:
                data = data.lstrip(b"\0")
                if not data or form != _GZIP:
                    break
                unzip = zlib.decompressobj(form)
            yield from _given(unzip, data)
            data = unzip.unused_data
        time.sleep(0)  # under gevent other requests go on here
    if not unzip.eof:
        raise ValueError("compressed and cut off")


def _given(unzip: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """Yield the decoded pieces of some data, up to the end of the stream."""
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
    """Return zlib's number for the format of a body; some senders leave out zlib's header in `deflate`."""
    if coding != "deflate":
        return _GZIP
    has_header = body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
    return _ZLIB if has_header else _RAW
