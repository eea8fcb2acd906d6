"""Keep the connections of one base URL between their calls."""

from collections import deque
from time import monotonic

from app.theeye.connection import Connection

IDLE_SECONDS = 3.0  # below the 5 s after which Node, TheEye's server, closes an idle connection


class IdleConnections:
    """Hold the connections that no call uses; safe to share between threads, as the methods of a deque are."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._idle: deque[Connection] = deque()  # the one used last at the right
        self._is_closed = False

    def take(self) -> Connection | None:
        """Return the connection used last, if it has not been idle for long and the other side has not closed it."""
        oldest = monotonic() - IDLE_SECONDS
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.idle_since > oldest and connection.is_quiet():
                return connection
            connection.close()

    def keep(self, connection: Connection) -> None:
        """Keep a connection for the next call, and close those that a burst of calls has left behind."""
        connection.idle_since = monotonic()
        self._idle.append(connection)
        if self._is_closed:
            self.close()
        while True:
            try:
                oldest = self._idle.popleft()
            except IndexError:
                return
            if oldest.idle_since >= connection.idle_since - IDLE_SECONDS:
                self._idle.appendleft(oldest)
                return
            oldest.close()

    def close(self) -> None:
        """Close all, and from now on each other one that is to be kept."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()
