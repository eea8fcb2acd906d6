"""What gunicorn does anew for every answer and need not: an eighth of its own cost (docs/performance.md)."""

import io
from collections.abc import Callable, Iterable
from time import time
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi

from app.api.responses import Wsgi


class Saves:
    """For a worker class: what it serves has these savings."""

    wsgi: Any

    def load_wsgi(self) -> None:
        """Loads the application."""
        super().load_wsgi()  # type: ignore[misc]
        save()
        self.wsgi = in_one_segment(self.wsgi)


def save() -> None:
    """To be called once in every worker process."""
    if not isinstance(util.http_date, _Clock):
        util.http_date = _Clock(util.http_date)
        wsgi.base_environ = _Environ(wsgi.base_environ)


def in_one_segment(application: Wsgi) -> Wsgi:
    """The application, with an answer's head and body sent as one; gunicorn sends one after the other."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = getattr(start_response, "__self__", None)
        if isinstance(response, wsgi.Response) and environ["REQUEST_METHOD"] != "HEAD":
            response.sock = _Held(response)
        return application(environ, start_response)

    return serve


class _Held:
    """A response's socket: the head is held for the body that follows it."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._sock = response.sock
        self._head = b""

    def sendall(self, data: bytes) -> None:
        if not self._response.headers_sent and self._response.response_length:
            self._head = data  # `Content-Length` promises a body
            return
        data, self._head = self._head + data, b""
        sent = self._sock.send(data)  # nearly always all of it; gevent's `sendall` costs twice that
        if sent < len(data):
            self._sock.sendall(data[sent:])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Clock:
    """The Date header's value, made once a second."""

    def __init__(self, http_date: Callable[[float], str]) -> None:
        self._http_date = http_date
        self._made = 0, ""

    def __call__(self, timestamp: float | None = None) -> str:
        second = int(time() if timestamp is None else timestamp)
        made = self._made
        if made[0] != second:
            made = self._made = second, self._http_date(second)
        return made[1]


class _Environ:
    """What all WSGI environments of a process have in common."""

    def __init__(self, base_environ: Callable[[Any], dict[str, Any]]) -> None:
        self._base_environ = base_environ
        self._made: dict[str, Any] = {}

    def __call__(self, cfg: Any) -> dict[str, Any]:
        if not self._made:
            self._made = {**self._base_environ(cfg), "wsgi.errors": _Errors(cfg)}
        return self._made.copy()


class _Errors(io.TextIOBase):
    """`wsgi.errors`, which asks for gunicorn's log files when there is something to write."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg

    def write(self, text: str) -> int:
        wsgi.WSGIErrorsWrapper(self._cfg).write(text)
        return len(text)
