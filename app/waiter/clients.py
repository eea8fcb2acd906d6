"""Notices clients that have gone or are too slow, under gunicorn, which shows us their sockets (`gunicorn.socket`)."""

import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

LOOK_SECONDS = 1.0

# The other side has closed its end, or the connection broke; data that it sent before does not hide that.
_GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR

log = logging.getLogger("theeye_sync.clients")


@dataclass(slots=True)
class Client:
    """One client: `wake` is called when it is found `gone`; one that is `late`, after `until`, is read from no more."""

    sock: socket.socket | None = None
    wake: Callable[[], None] = lambda: None
    gone: bool = False
    until: float = float("inf")  # monotonic seconds
    late: bool = False


class Clients:
    """All parked clients of this process, looked at once a second by one thread in one system call."""

    def __init__(self) -> None:
        """Watches nobody yet; the thread starts with the first client, after any fork."""
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._parked: dict[int, Client] = {}
        self._poll: Any = None
        self._pid = 0
        self._watching_in = 0  # the process, while the thread lives

    @contextmanager
    def watch(self, sock: socket.socket | None) -> Iterator[Client]:
        """A client whose `gone` turns true when it has closed the connection; without a socket it never does."""
        client = Client(sock)
        if sock is None:
            yield client
            return
        number = sock.fileno()
        self._register(number, client)
        try:
            yield client
        finally:
            self._unregister(number)

    def _register(self, number: int, client: Client) -> None:
        if self._watching_in != os.getpid():
            self._start()
        with self._lock:
            self._parked[number] = client
            self._poll.register(number, _GONE)

    def _unregister(self, number: int) -> None:
        with self._lock:
            if self._parked.pop(number, None) is not None:
                self._poll.unregister(number)

    def _start(self) -> None:
        with self._starting:
            if self._watching_in == os.getpid():
                return
            if self._pid != os.getpid():
                self._parked, self._poll, self._pid = {}, _system_poll(), os.getpid()
            threading.Thread(target=self._run, name="theeye-sync-clients", daemon=True).start()
            self._watching_in = os.getpid()

    def _run(self) -> None:
        pause = threading.Event()
        try:
            while True:
                pause.wait(LOOK_SECONDS)
                self._look_again()
        finally:
            with self._starting:  # not before `_start` is done
                self._watching_in = 0

    def _look_again(self) -> None:
        try:
            self._look()
            self._cut_off()
        except Exception:
            log.exception("looking for clients that have gone")

    def _look(self) -> None:
        with self._lock:
            gone = [self._parked.get(number) for number, _ in self._poll.poll(0)] if self._parked else []
        for client in gone:
            if client is not None and not client.gone:
                client.gone = True
                client.wake()

    def _cut_off(self) -> None:
        """Reading from those who are late ends, as if they had hung up."""
        with self._lock:
            parked = list(self._parked.values())
        for client in parked:
            if client.sock is not None and client.until < monotonic() and not client.late:
                client.late = True
                with suppress(OSError):  # gevent's own shutdown would raise an error in the greenlet that reads
                    getattr(client.sock, "_sock", client.sock).shutdown(socket.SHUT_RD)


def _system_poll() -> Any:
    """Return a `select.poll` object of the operating system.

    That of gevent does not report POLLRDHUP (gevent/gevent#1128): under it no client would ever be seen to go.
    """
    try:
        from gevent.monkey import get_original
    except ImportError:
        return select.poll()
    return get_original("select", "poll")()
