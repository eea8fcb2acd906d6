"""Notice clients that have closed their connection, under gunicorn, which shows their sockets (`gunicorn.socket`)."""

import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.waiter.ticker import Ticker

# Set if the client has closed its side or the connection broke, also while unread data is there.
_GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


@dataclass(slots=True)
class Client:
    """Hold whether one client has `gone`; `wake` is called then. `number` is its socket's, None without a socket."""

    wake: Callable[[], None] = lambda: None
    gone: bool = False
    number: int | None = None


class Clients:
    """Check all waiting clients of this process once a second, in one thread with one system call."""

    def __init__(self) -> None:
        """Watch no client yet."""
        self._lock = threading.Lock()
        self._ticker = Ticker("theeye-sync-clients", self._look)
        self._waiting: dict[int, Client] = {}
        self._poll: Any = None
        self._pid = 0

    def watch(self, sock: socket.socket | None) -> Client:
        """Return a client whose `gone` becomes true when it closes the connection (not without a socket)."""
        client = Client()
        if sock is not None:
            client.number = sock.fileno()
            self._register(client.number, client)
        return client

    def ignore(self, client: Client) -> None:
        """Watch the client no longer."""
        if client.number is not None:
            self._unregister(client.number)

    def _register(self, number: int, client: Client) -> None:
        with self._lock:
            if self._pid != os.getpid():  # after a fork drop the clients of the parent process
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
    """Return the operating system's `select.poll` object.

    gevent's does not report POLLRDHUP (gevent/gevent#1128), so that no client would ever be gone.
    """
    patching = sys.modules.get("gevent.monkey")  # None unless a gevent worker has imported it
    return patching.get_original("select", "poll")() if patching else select.poll()
