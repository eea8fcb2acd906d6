"""gunicorn's gevent worker, which does not let idle connections hold up its end."""

import atexit
import logging
import socket
import warnings
from contextlib import suppress
from time import monotonic
from typing import Any

from gevent.monkey import MonkeyPatchWarning
from gunicorn.workers.ggevent import GeventWorker

from app.serving.farewell import farewell
from app.serving.quit import QuitsOnce

LINGER_SECONDS = 2.0  # for a request that is already on its way, as gunicorn's threaded worker has it


class _Listener:
    """The name of a listening socket, which may be closed by the time it is asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self._name = sock.getsockname()

    def getsockname(self) -> Any:
        return self._name


class Worker(QuitsOnce, GeventWorker):  # type: ignore[misc]
    """Knows which of its connections are idle, and ends those first when it stops."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As gunicorn calls it."""
        super().__init__(*args, **options)
        self._idle: set[socket.socket] = set()
        self._listeners: dict[socket.socket, _Listener] = {}
        self._linger_until = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuses what would end in a deadlock. Raises SystemExit."""
        if cfg.preload_app:
            raise SystemExit("theeye-sync: preload_app cannot go with gevent: locks would be made before the patching")

    def patch(self) -> None:
        """Patches the standard library; that ssl is imported by then does no harm, since no context was made."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MonkeyPatchWarning)
            super().patch()

    def run(self) -> None:
        """Serves until it is told to stop."""
        self._listeners = {sock: _Listener(sock) for sock in self.sockets}
        atexit.register(_forget_handlers)
        super().run()

    def handle(self, listener: Any, client: socket.socket, address: Any) -> None:
        """Serves one connection, also one that was accepted just before the listening socket was closed."""
        self._idle.add(client)
        try:
            super().handle(self._listeners[listener], client, address)
        finally:
            self._idle.discard(client)

    def handle_request(self, listener_name: Any, request: Any, sock: socket.socket, address: Any) -> None:
        """Serves one request."""
        self._idle.discard(sock)
        try:
            super().handle_request(listener_name, request, sock, address)
            if getattr(request.body, "failed", False):  # where the next request begins is unknown
                raise StopIteration
        except StopIteration:
            farewell(sock)
            raise
        finally:
            self._idle.add(sock)

    def notify(self) -> None:
        """Called every second, while stopping too."""
        super().notify()
        if not self.alive:
            self._linger_until = self._linger_until or monotonic() + LINGER_SECONDS
            if monotonic() >= self._linger_until:
                self._end_idle()

    def _end_idle(self) -> None:
        """Reading ends, as if the other side had hung up; the connection's greenlet then closes it."""
        for sock in list(self._idle):
            with suppress(OSError):  # gevent's own shutdown would raise an error in the greenlet that reads
                getattr(sock, "_sock", sock).shutdown(socket.SHUT_RD)


def _forget_handlers() -> None:
    """Else each log handler that dies after gevent's locks, at the very end, prints a traceback."""
    logging.shutdown()
    del logging._handlerList[:]  # type: ignore[attr-defined]
