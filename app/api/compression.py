"""Compress text and JSON above 1 KiB for clients that accept it (RFC 9110, 12.5.3), but never a stream.

Flask-Compress does not fit: it needs two more compressors, changes the ETag, and compresses in the greenlet. A large
answer would block all requests of a gevent worker for a second.
"""

import re
import sys
import zlib
from functools import cache
from typing import TYPE_CHECKING

import flask
from flask import request

from app.api.responses import BODILESS

if TYPE_CHECKING:
    from gevent.threadpool import ThreadPool

SMALLEST = 1024  # bytes; smaller answers are sent as the original sent them
LARGE = 1 << 20  # bytes; larger answers are compressed in a real thread: zlib releases Python's lock
THREADS = 2
LEVEL = 4  # zlib's level: on records 2 % more bytes than with 6, in half the time

_GZIP = zlib.MAX_WBITS | 16
_TEXT = re.compile(r"text/(?!event-stream$)|application/(json|javascript|xml)$|.*\+(json|xml)$")


def may_be_compressed(response: flask.Response, length: int | None) -> bool:
    """Return whether the response, with a body of `length` bytes, is compressed for a client that accepts it."""
    return (
        (length or 0) > SMALLEST
        and _TEXT.match(response.mimetype or "") is not None
        and "Content-Encoding" not in response.headers
        and "Content-Range" not in response.headers
        and (response.direct_passthrough or not response.is_streamed)
    )


def compress(response: flask.Response) -> None:
    """Compress a response if the client prefers that. Make its ETag weak, so that it is valid for both forms."""
    if response.status_code in BODILESS or not _is_preferred():
        return
    response.direct_passthrough = False  # a file has to be read here
    response.set_data(_compressed(response.get_data()))
    response.headers["Content-Encoding"] = "gzip"
    response.headers.remove("Accept-Ranges")
    tag, is_weak = response.get_etag()
    if tag is not None and not is_weak:
        response.set_etag(tag, weak=True)


def _is_preferred() -> bool:
    """Return whether the client accepts gzip, and does not prefer `identity`."""
    accepted = request.accept_encodings
    identity = max((quality for name, quality in accepted if name.lower() == "identity"), default=0)
    return accepted.quality("gzip") > 0 and accepted.quality("gzip") >= identity


def _compressed(body: bytes) -> bytes:
    gevent = sys.modules.get("gevent.monkey")  # None unless a gevent worker has imported it
    if len(body) > LARGE and gevent is not None and gevent.is_module_patched("threading"):
        return _threads().apply(_gzip, (body,))
    return _gzip(body)


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, LEVEL, wbits=_GZIP)


@cache
def _threads() -> "ThreadPool":
    """Return the threads of this process; gevent's own threads are for its resolver."""
    from gevent.threadpool import ThreadPool

    return ThreadPool(THREADS)
