"""Notice clients that have gone, under gunicorn, which shows their sockets (`gunicorn.socket`)."""

import os
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.waiter.ticker import Ticker

# The other side has closed its end, or the connection broke; data that it sent before does not hide that.
_GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


@dataclass(slots=True)
class Client:
    """Hold one client; `wake` is called when it is found `gone`."""

    wake: Callable[[], None] = lambda: None
    gone: bool = False


class Clients:
    """Look at all waiting clients of this process once a second, by one thread in one system call."""

    def __init__(self) -> None:
        """Watch nobody yet."""
        self._lock = threading.Lock()
        self._ticker = Ticker("theeye-sync-clients", self._look)
        self._waiting: dict[int, Client] = {}
        self._poll: Any = None
        self._pid = 0

    @contextmanager
    def watch(self, sock: socket.socket | None) -> Iterator[Client]:
        """Yield a client whose `gone` turns true when it has closed the connection; without a socket it never does."""
        client = Client()
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
        with self._lock:
            if self._pid != os.getpid():  # after a fork nothing of the parent's is watched
                self._waiting, self._poll, self._pid = {}, _system_poll(), os.getpid()
            self._waiting[number] = client
            self._poll.register(number, _GONE)
        self._ticker.ensure_running()

    def _unregister(self, number: int) -> None:
        with self._lock:
            if self._waiting.pop(number, None) is not None:
                self._poll.unregister(number)

    def _look(self) -> None:
        with self._lock:
            gone = [self._waiting.get(number) for number, _ in self._poll.poll(0)] if self._waiting else []
        for client in gone:
            if client is not None and not client.gone:
                client.gone = True
                client.wake()


def _system_poll() -> Any:
    """Return a `select.poll` object of the operating system.

    That of gevent does not report POLLRDHUP (gevent/gevent#1128): under it no client would ever be seen to go.
    """
    patching = sys.modules.get("gevent.monkey")  # where gevent is only installed, it is not imported for this
    return patching.get_original("select", "poll")() if patching else select.poll()
