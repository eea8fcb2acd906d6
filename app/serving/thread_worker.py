"""Adapt gunicorn's threaded worker. Each method names the upstream issue it works around; a test fails without it."""

import selectors
import socket
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import Any
from weakref import WeakSet

from gunicorn.workers.gthread import ThreadWorker

from app.serving.closing import QuitsOnce, close_after_client, cut_off, refuse_max_requests
from app.serving.silence import SPARE_CONNECTIONS, longest_silent

HEAD_SECONDS = 20.0  # the request line and headers must arrive within this time
SLOW_HEADS = 32  # so many threads may wait HEAD_SECONDS; there are 256 beside those for waiting requests
CROWDED_HEAD_SECONDS = 5.0  # the limit of other threads; one with a whole head waits less for Python's lock
CROWDED_REST_SECONDS = 1.0  # their limit for the rest of a body, after the answer
HEAD_BYTES = 32768  # a longer head gets a thread before it is whole; the kernel keeps more than this for a socket
SILENT_SECONDS = 1.0  # when the worker stops, the first byte of a new connection must arrive within this time


def _left_over(conn: Any) -> bytes:
    """Return the bytes that were read together with the last request."""
    left: bytes = conn.parser.unreader.buf.getvalue() if conn.initialized else b""
    return left


def _is_half(head: bytes) -> bool:
    return 0 < len(head) < HEAD_BYTES and b"\r\n\r\n" not in head


class Worker(QuitsOnce, ThreadWorker):  # type: ignore[misc]
    """Serve each request in a thread; a slow client blocks neither the worker's loop nor a thread for ever."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take gunicorn's arguments."""
        super().__init__(*args, **options)
        self._reading: dict[Any, float] = {}  # connections with a thread that reads a head, and since when
        self._halves: WeakSet[Any] = WeakSet()  # connections without a thread that have sent a part of a head
        self._dropping: dict[Any, float] = {}  # those with a thread that reads and drops the rest of a body

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raise SystemExit for `max_requests`."""
        refuse_max_requests(cfg)
        super().check_config(cfg, log)

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection a thread; a new connection gets one when its first bytes have arrived.

        gunicorn gives it a thread at once, and it may hold it for 5 s: benoitc/gunicorn#3518.
        """
        if conn.initialized or conn.data_ready:
            self._reading[conn] = inf  # it waits for a thread
            super().enqueue_req(conn)
        else:
            conn.set_timeout()
            self.pending_conns.append(conn)
            readable = partial(self.on_pending_socket_readable, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        """Give a new connection a thread; if too many threads wait for heads, only when its head is whole."""
        if not self._keeps_waiting(conn):
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Do the same for the next request of a connection."""
        if not self._keeps_waiting(conn):
            super().on_client_socket_readable(conn, client)

    def _is_crowded(self, conn: Any) -> bool:
        """Return whether a connection gets a thread only for a whole head; it has to be TCP for `_keeps_waiting`."""
        return len(self._reading) >= SLOW_HEADS and not self.cfg.is_ssl and conn.sock.family != socket.AF_UNIX

    def _keeps_waiting(self, conn: Any) -> bool:
        """Return whether only a part of a head has arrived; then let the poller report the next byte (SO_RCVLOWAT)."""
        if not (self._is_crowded(conn) or conn in self._halves):
            return False
        try:
            head = conn.sock.recv(HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            # Without a new byte the client has closed its side.
            is_new = len(head) >= conn.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
            is_half = is_new and self._is_crowded(conn) and _is_half(_left_over(conn) + head)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(head) + 1 if is_half else 1)
        except OSError:
            is_half = False
        (self._halves.add if is_half else self._halves.discard)(conn)
        return is_half

    def handle(self, conn: Any) -> Any:
        """Serve one request of a connection; its head must arrive within HEAD_SECONDS.

        gunicorn has no such deadline, and a client that sends its head slowly holds a thread: benoitc/gunicorn#2255.
        """
        self._reading[conn] = monotonic()
        try:
            return super().handle(conn)
        finally:
            self._reading.pop(conn, None)
            self._dropping.pop(conn, None)

    def handle_request(self, request: Any, conn: Any) -> Any:
        """Serve one request, whose head has arrived."""
        self._reading.pop(conn, None)
        try:
            return super().handle_request(request, conn)
        except TimeoutError:
            cut_off(conn.sock, self.log)
            return False
        finally:
            self._dropping[conn] = monotonic()

    def notify(self) -> None:
        """Report to the master once a second that the worker lives; close silent connections and those with late heads.

        When stopping, also close connections without a first byte: gunicorn waits until `graceful_timeout` for those in
        its loop (test_a_silent_connection_does_not_hold_up_the_end).
        """
        super().notify()
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, monotonic() + SILENT_SECONDS)
        self._end_silent()
        for conn in self._late():
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RD)

    def _late(self) -> list[Any]:
        """Return the connections whose thread waits for too long."""
        reading = [(conn, since) for conn, since in self._reading.copy().items() if since < inf]
        dropping, earliest = self._dropping.copy().items(), monotonic() - HEAD_SECONDS
        if late := [conn for conn, since in reading if since < earliest]:
            return late
        excess = len(reading) + len(dropping) - SLOW_HEADS
        late = longest_silent(dropping, excess, CROWDED_REST_SECONDS)
        return late or longest_silent(reading, excess, CROWDED_HEAD_SECONDS)

    def _end_silent(self) -> None:
        """Let gunicorn's loop close the connections that are silent for longest, if there are too many."""
        excess = self.nr_conns + SPARE_CONNECTIONS - self.worker_connections
        if excess > 0:
            for silent in (self.pending_conns, self.keepalived_conns):
                ended = longest_silent(((conn, conn.timeout - self.cfg.keepalive) for conn in silent), excess)
                excess -= len(ended)
                for conn in ended:
                    conn.timeout = 0.0

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting connections; when stopping, accept those in the socket's queue and close the socket.

        gunicorn leaves connections in the queue, and the end of the worker resets them. A proxy then does not know
        whether the worker had read a request, and may not send it again.
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

        Closing may take 2 s, so a thread of the pool does it. gunicorn closes in the worker's loop (since
        benoitc/gunicorn#3590); meanwhile the loop accepts no connection and does not report to the master.
        """
        if future.cancelled() or future.exception():
            super().finish_request(conn, future)
        elif future.result():
            if self.alive and self._is_crowded(conn) and _is_half(_left_over(conn)):  # it came with the last request
                conn.sock.setblocking(False)
                conn.set_timeout()
                self.keepalived_conns.append(conn)
                self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))
            else:
                super().finish_request(conn, future)
        else:
            self.nr_conns -= 1
            self.tpool.submit(close_after_client, conn.sock)
