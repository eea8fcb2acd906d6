"""Undo a Content-Encoding that was not asked for: some proxies compress whatever passes (RFC 9110, 8.4)."""

import zlib

_ZLIBS = frozenset({"gzip", "x-gzip", "deflate"})
_BY_HEADER = zlib.MAX_WBITS | 32  # gzip or zlib, whichever the data begins with


def decoded(body: bytes, coding: str, most: int) -> bytes:
    """Return a body without its coding, cut off after `most` bytes and one. Raise ValueError for a broken one.

    A body in a coding that is not known stays as it is.
    """
    if coding.strip().lower() not in _ZLIBS or not body:
        return body
    unzip = zlib.decompressobj(_BY_HEADER)
    try:
        found = unzip.decompress(body, most + 1)
    except zlib.error:
        raise ValueError("compressed in no form that can be read") from None
    if not unzip.eof and len(found) <= most:
        raise ValueError("cut off in its compressed body")
    return found
