"""Kept connections, and how many there may be at once."""

import select
import socket
import ssl
import threading
from collections import deque
from time import monotonic

from app import system


class Connection:
    """A kept connection, and the timeout that its socket has: to set it is a system call."""

    __slots__ = ("_poll", "_timeout", "idle_since", "sock")

    def __init__(self, sock: socket.socket) -> None:
        """Takes over a connected socket."""
        self.sock = sock
        self.idle_since = 0.0
        self._timeout = -1.0
        self._poll = None if isinstance(sock, ssl.SSLSocket) else system.poll()
        if self._poll is not None:
            self._poll.register(sock.fileno(), select.POLLIN)

    def limit(self, seconds: float) -> None:
        """No wait is longer than that from now on, within a hundredth."""
        if not 0.99 * seconds <= self._timeout <= 1.01 * seconds:
            self.sock.settimeout(seconds)
            self._timeout = seconds

    def is_quiet(self) -> bool:
        """Whether nothing, not even an end, has arrived while it was idle."""
        if self._poll is not None:
            return not self._poll.poll(0)
        self._timeout = 0.0
        self.sock.settimeout(0)
        try:
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Ends it."""
        self.sock.close()


class Places:
    """A semaphore that costs a tenth of threading's while there are free places."""

    def __init__(self, number: int) -> None:
        """All of them are free."""
        self._free = deque([None] * number)
        self._waiting = 0
        self._given_back = threading.Condition()

    def take(self, deadline: float) -> bool:
        """Whether a place was to be had before the deadline."""
        return self._took() or self._wait(deadline)

    def give_back(self) -> None:
        """To be called once for each place that was taken."""
        self._free.append(None)
        if self._waiting:
            with self._given_back:
                self._given_back.notify()

    def _took(self) -> bool:
        try:
            self._free.pop()
        except IndexError:
            return False
        return True

    def _wait(self, deadline: float) -> bool:
        with self._given_back:
            self._waiting += 1  # before looking again: who gives back after that look notifies
            try:
                return self._given_back.wait_for(self._took, seconds_left(deadline, 0.001))
            finally:
                self._waiting -= 1


def seconds_left(deadline: float, least: float | None = None) -> float:
    """Seconds until the deadline. Raises TimeoutError when it has passed and there is no least."""
    left = deadline - monotonic()
    if left > 0:
        return left
    if least is None:
        raise TimeoutError("timed out")
    return least
