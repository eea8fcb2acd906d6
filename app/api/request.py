"""One request as the service reads it: WSGI's environ, without a framework's costs."""

import re
import socket
from typing import IO, Any

from werkzeug.wsgi import get_content_length, get_input_stream

from app.api.query import Query
from app.telemetry.trace import KEY, Trace

Environ = dict[str, Any]

_AUTHORITY = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)


class Request:
    """A request; headers by their name in the environ, such as `HTTP_ACCEPT`."""

    __slots__ = ("environ", "method", "query")

    def __init__(self, environ: Environ) -> None:
        """Reads nothing of the body."""
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.query = Query(environ.get("QUERY_STRING", ""))

    def header(self, name: str) -> str | None:
        """A header's value, None where it was not sent."""
        value: str | None = self.environ.get(name)
        return value

    @property
    def path(self) -> str:
        """The path, decoded once."""
        return text(self.environ.get("PATH_INFO", ""))

    @property
    def prefix(self) -> str:
        """The part of the path before it, which a proxy or the host has taken off."""
        return text(self.environ.get("SCRIPT_NAME", "")).rstrip("/")

    @property
    def raw_path(self) -> str:
        """The path before any decoding, where the host shows it: in the decoded one a `%2F` looks like a separator."""
        raw: str = self.environ.get("RAW_URI") or self.environ.get("REQUEST_URI") or ""
        path = raw.partition("?")[0]
        return path if path.startswith("/") else _AUTHORITY.sub("", path)

    @property
    def is_as_sent(self) -> bool:
        """Whether the path was neither decoded nor tidied on its way to us."""
        path: str = self.environ["PATH_INFO"]
        return self.raw_path in (path, self.environ.get("SCRIPT_NAME", "") + path)

    @property
    def trace(self) -> Trace:
        """The request's record."""
        trace: Trace = self.environ[KEY]
        return trace

    @property
    def socket(self) -> socket.socket | None:
        """The client's socket, where the host shows it (gunicorn)."""
        sock: socket.socket | None = self.environ.get("gunicorn.socket")
        return sock

    @property
    def length(self) -> int | None:
        """Content-Length, None where it was not sent, or has no say beside chunks."""
        return get_content_length(self.environ)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks (RFC 9112)."""
        return "HTTP_TRANSFER_ENCODING" in self.environ

    @property
    def stream(self) -> IO[bytes]:
        """The body, which ends where it should."""
        return get_input_stream(self.environ)


def text(wsgi: str) -> str:
    """What WSGI hands on as Latin-1, read as UTF-8 (PEP 3333)."""
    return wsgi if wsgi.isascii() else wsgi.encode("latin-1").decode("utf-8", "replace")
