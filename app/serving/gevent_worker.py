"""Adapt gunicorn's gevent worker. Each method names the upstream issue it works around; a test fails without it."""

import socket
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

from gevent.server import StreamServer
from gunicorn.workers import ggevent
from gunicorn.workers.ggevent import GeventWorker

from app.serving.closing import QuitsOnce, close_after_client, cut_off, refuse_max_requests
from app.serving.silence import SPARE_CONNECTIONS, longest_silent

LINGER_SECONDS = 2.0  # when stopping, wait so long for a request on an idle connection, as gunicorn's threads do


class ListenerName:
    """Keep the address of a listening socket: a closed socket cannot tell it."""

    def __init__(self, sock: socket.socket) -> None:
        """Read the address of an open socket."""
        self._name = sock.getsockname()

    def getsockname(self) -> Any:
        """Return the address."""
        return self._name


class Server(StreamServer):
    """Accept the connections of one listening socket."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Let the worker make the TLS handshake: gevent's own has no timeout, and gunicorn does not see it."""
        if options.get("ssl_context") is not None:
            options["do_handshake_on_connect"] = False
        super().__init__(*args, **options)

    def close(self) -> None:
        """Accept the connections in the socket's queue before closing it: closing would reset them."""
        with suppress(OSError):
            while not (self.closed or self.full()) and (accepted := self.do_read()):
                self.do_handle(*accepted)
        super().close()


class Worker(QuitsOnce, GeventWorker):  # type: ignore[misc]
    """Serve each connection in a greenlet. When stopping, finish the requests and close idle connections."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take gunicorn's arguments."""
        super().__init__(*args, **options)
        self._idle: dict[socket.socket, float] = {}  # connections that wait for a request, and since when
        self._open = 0
        self._listener_names: dict[socket.socket, ListenerName] = {}
        self._linger_until = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raise SystemExit for `max_requests` and for `preload_app`.

        With `preload_app` gevent patches too late, and no request is answered: benoitc/gunicorn#1566.
        """
        refuse_max_requests(cfg)
        if cfg.preload_app:
            raise SystemExit(
                "theeye-sync: preload_app does not work with gevent: it makes locks before gevent patches them"
            )

    def run(self) -> None:
        """Serve until the worker stops."""
        self._listener_names = {sock: ListenerName(sock) for sock in self.sockets}
        ggevent.StreamServer = Server  # gunicorn has no setting for the class
        super().run()

    def handle(self, listener: Any, client: socket.socket, address: Any) -> None:
        """Serve one connection, also one that was accepted just before the listening socket was closed.

        gunicorn reads the address of the closed socket, fails and resets the connection: benoitc/gunicorn#1877.
        """
        self._idle[client] = monotonic()
        self._open += 1
        try:
            super().handle(self._listener_names[listener], client, address)
        finally:
            self._idle.pop(client, None)
            self._open -= 1

    def handle_request(self, listener_name: Any, request: Any, sock: socket.socket, address: Any) -> None:
        """Serve one request; after the last one wait for the client before closing: benoitc/gunicorn#3334."""
        self._idle.pop(sock, None)
        try:
            super().handle_request(listener_name, request, sock, address)
            if request.body.failed:  # it is unknown where the next request begins
                raise StopIteration
        except TimeoutError:
            cut_off(sock, self.log)
            raise StopIteration from None
        except StopIteration:
            close_after_client(sock)
            raise
        finally:
            self._idle[sock] = monotonic()

    def notify(self) -> None:
        """Report to the master once a second that the worker lives, and close silent connections if there are too many.

        When stopping, close all idle connections: gunicorn waits for them until `graceful_timeout`
        (benoitc/gunicorn#3227).
        """
        super().notify()
        self._end(longest_silent(self._idle.items(), self._open + SPARE_CONNECTIONS - self.worker_connections))
        if not self.alive:
            self._linger_until = self._linger_until or monotonic() + LINGER_SECONDS
            if monotonic() >= self._linger_until:
                self._end(list(self._idle))

    def _end(self, idle: Iterable[socket.socket]) -> None:
        """Shut down the reading side of idle connections, so that their greenlets close them."""
        for sock in idle:
            with suppress(OSError):  # gevent's own shutdown would raise an error in the greenlet that reads
                getattr(sock, "_sock", sock).shutdown(socket.SHUT_RD)
