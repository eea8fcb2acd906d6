"""Read the body of a request within limits of size and time."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import IO, Any

from werkzeug.wsgi import get_content_length, get_input_stream

from app.api.request import client_socket
from app.errors import BadRequest, SyncError, TooLarge, TooSlow
from app.waiter.bodies import HeldBody
from app.waiter.ticker import Ticker

BODY_SECONDS = 10.0  # each piece of the body, and its end, must arrive within this time
BODY_PIECE = 64 * 1024  # bytes of a piece


@dataclass(slots=True, eq=False)
class _Upload:
    """Hold the state of a body that is being read; `deadline` of the next piece is in monotonic seconds."""

    sock: socket.socket
    deadline: float
    late: bool = False


class _SlowBodies:
    """Cut off clients that send too slowly. A socket's own timeout would not do: it restarts with every byte."""

    def __init__(self) -> None:
        self._ticker = Ticker("theeye-sync-bodies", self._cut_off)
        self._uploads: set[_Upload] = set()  # its methods are atomic, also `copy`

    def watch(self, sock: socket.socket) -> _Upload:
        """Cut the client off unless each BODY_PIECE arrives within BODY_SECONDS, until `ignore`."""
        self._ticker.ensure_running()
        upload = _Upload(sock, monotonic() + BODY_SECONDS)
        self._uploads.add(upload)
        return upload

    def ignore(self, upload: _Upload) -> None:
        """Watch the client no longer."""
        self._uploads.discard(upload)

    def _cut_off(self) -> None:
        for upload in self._uploads.copy():
            if upload.deadline >= monotonic():
                continue
            upload.late = True
            with suppress(OSError):  # gevent's own shutdown would raise an error in the greenlet that reads
                getattr(upload.sock, "_sock", upload.sock).shutdown(socket.SHUT_RD)


@cache
def _slow_bodies() -> _SlowBodies:
    """Return the one of this process, made at the first use: its lock must not be made before gevent patches locks."""
    return _SlowBodies()


def read_body(environ: dict[str, Any], most: int, held: HeldBody) -> bytes:
    """Return the whole body. Raise TooLarge, TooSlow, TooBusy, or BadRequest if less came than its Content-Length."""
    announced = get_content_length(environ)  # None for a chunked body, too
    if announced is None and "HTTP_TRANSFER_ENCODING" in environ and not environ.get("wsgi.input_terminated"):
        raise BadRequest("This server cannot read chunked bodies, send a Content-Length", status=411)
    if announced is not None and announced > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    sock = client_socket(environ)
    upload = None if sock is None else _slow_bodies().watch(sock)
    try:
        body = _receive(get_input_stream(environ), most + 1 if announced is None else announced, upload, held)
    except SyncError:
        raise
    except Exception:  # noqa: BLE001 - gunicorn raises errors of its own for malformed chunks
        raise _broken_off(environ, upload) from None
    finally:
        if upload is not None:
            _slow_bodies().ignore(upload)
    if len(body) > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    if (upload is not None and upload.late) or (announced is not None and len(body) != announced):
        raise _broken_off(environ, upload)
    return body


def _receive(stream: IO[bytes], most: int, upload: _Upload | None, held: HeldBody) -> bytes:
    """Return at most `most` bytes; count each piece, and extend the deadline after it."""
    body = bytearray()
    while len(body) < most and (piece := stream.read(min(BODY_PIECE, most - len(body)))):
        body += piece
        held.resize(len(body))
        if upload is not None:
            upload.deadline = monotonic() + BODY_SECONDS
    return bytes(body)


def _broken_off(environ: Mapping[str, Any], upload: _Upload | None) -> SyncError:
    """Return the error for an incomplete body, and mark the connection to be closed: the body's end is unknown."""
    if upload is not None:
        environ["wsgi.input"].failed = True
        if upload.late:
            return TooSlow(f"The body came too slowly: less than {BODY_PIECE} bytes in {BODY_SECONDS:g} seconds")
    return BadRequest("The body ended too early, or is not framed as HTTP wants it")
