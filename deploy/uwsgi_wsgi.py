"""Load the service in each of uWSGI's processes (deploy/uwsgi.ini), and let it read chunked bodies."""

import io
import os
from collections.abc import Iterable
from typing import Any

os.environ.setdefault("SYNC_WORKERS", "2")  # the processes in uwsgi.ini
os.environ.setdefault("SYNC_MAX_WAITING", "112")  # below the threads there

import uwsgi

from wsgi import application as _service


class _Chunks(io.RawIOBase):
    """Read a chunked body, which uWSGI's own `wsgi.input` cannot."""

    _rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._rest or uwsgi.chunked_read()
        size = min(len(data), len(buffer))
        buffer[:size], self._rest = data[:size], data[size:]
        return size


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer a request: the WSGI callable."""
    if "HTTP_TRANSFER_ENCODING" in environ and not environ.get("CONTENT_LENGTH"):
        environ |= {"wsgi.input": io.BufferedReader(_Chunks()), "wsgi.input_terminated": True}
    return _service(environ, start_response)
