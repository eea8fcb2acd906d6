"""Adapt gunicorn's threaded worker: a test fails without each of these methods, and the upstream issues are named."""

import selectors
import socket
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from app.serving.closing import QuitsOnce, close_after_client, cut_off, refuse_max_requests
from app.serving.silence import SPARE_CONNECTIONS, longest_silent

HEAD_SECONDS = 20.0  # in which a request line and its headers must arrive
SLOW_HEADS = 32  # threads that may take HEAD_SECONDS; there are 256 beside the slots
CROWDED_HEAD_SECONDS = 5.0  # for the others; a thread that has its head waits less than that for Python's lock
SILENT_SECONDS = 1.0  # that a new connection has for its first byte when the worker stops: it may be on its way


class Worker(QuitsOnce, ThreadWorker):  # type: ignore[misc]
    """Serve each request in a thread; slow clients hold neither the worker's loop nor a thread for ever."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take what gunicorn passes on."""
        super().__init__(*args, **options)
        self._reading: dict[Any, float] = {}  # connections whose head is awaited, and since when

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raise SystemExit for `max_requests`."""
        refuse_max_requests(cfg)
        super().check_config(cfg, log)

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection a thread, a new one once something has come.

        gunicorn would let it hold a thread for 5 s: benoitc/gunicorn#3518.
        """
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
        else:
            conn.set_timeout()
            self.pending_conns.append(conn)
            readable = partial(self.on_pending_socket_readable, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def handle(self, conn: Any) -> Any:
        """Serve one request of a connection; its head must arrive within HEAD_SECONDS.

        gunicorn has no such deadline, and a head that drips would hold a thread for ever: benoitc/gunicorn#2255.
        """
        self._reading[conn] = monotonic()
        try:
            return super().handle(conn)
        finally:
            self._reading.pop(conn, None)

    def handle_request(self, request: Any, conn: Any) -> Any:
        """Serve one request, whose head is here."""
        self._reading.pop(conn, None)
        try:
            return super().handle_request(request, conn)
        except TimeoutError:
            cut_off(conn.sock, self.log)
            return False
        finally:
            self._reading[conn] = monotonic()  # gunicorn drops the rest of a body that nobody has read

    def notify(self) -> None:
        """Tell the master that the worker lives, once a second; make room, and end the reading of heads that are late.

        When stopping, also close connections on which nothing comes: gunicorn waits for those that it has handed
        back to its loop until `graceful_timeout` (test_a_silent_connection_does_not_hold_up_the_end).
        """
        super().notify()
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, monotonic() + SILENT_SECONDS)
        self._end_silent()
        reading, earliest = list(self._reading.copy().items()), monotonic() - HEAD_SECONDS
        late = [conn for conn, since in reading if since < earliest]
        for conn in late or longest_silent(reading, len(reading) - SLOW_HEADS, CROWDED_HEAD_SECONDS):
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RD)

    def _end_silent(self) -> None:
        """Let gunicorn's loop close the connections that are silent for longest where there are too many."""
        excess = self.nr_conns + SPARE_CONNECTIONS - self.worker_connections
        if excess > 0:
            for silent in (self.pending_conns, self.keepalived_conns):
                ended = longest_silent(((conn, conn.timeout - self.cfg.keepalive) for conn in silent), excess)
                excess -= len(ended)
                for conn in ended:
                    conn.timeout = 0.0

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end accepting connections; when stopping, accept those that wait, and have later ones refused.

        gunicorn leaves both in the queue of the socket, and the end of the worker resets them: a proxy does not know
        whether these requests were read, and may not send them again.
        """
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                known = -1
                while known != self.nr_conns:
                    known = self.nr_conns
                    self.accept(listener)
                listener.close()

    def finish_request(self, conn: Any, future: Future[Any]) -> None:
        """Keep a connection for its next request, or close it after its last one.

        That may take 2 seconds, so it is done in the pool. gunicorn does it in the worker's only loop, since
        benoitc/gunicorn#3590, and meanwhile neither accepts a connection nor tells the master that it lives.
        """
        if future.cancelled() or future.exception() or future.result():
            super().finish_request(conn, future)
        else:
            self.nr_conns -= 1
            self.tpool.submit(close_after_client, conn.sock)
