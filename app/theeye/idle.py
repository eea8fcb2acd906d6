"""Keep the connections of one base URL between calls."""

from collections import deque
from contextlib import suppress
from time import monotonic

from app.theeye.connection import Connection

IDLE_SECONDS = 3.0  # TheEye's servers (Node) close a connection that was idle for 5 s


class IdleConnections:
    """Hold the connections that no call uses; thread-safe, as the methods of a deque are."""

    def __init__(self) -> None:
        """Start empty."""
        self._idle: deque[Connection] = deque()  # the connection used last is at the right end
        self._is_closed = False

    def take(self) -> Connection | None:
        """Return the connection used last, if it was not idle for long and the server has not closed it, else None."""
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
        """Keep a connection for the next call, and close those that were idle for long, for example after a burst."""
        connection.idle_since = monotonic()
        self._idle.append(connection)
        oldest = connection.idle_since - IDLE_SECONDS
        try:
            while self._idle[0].idle_since < oldest:
                self._idle.popleft().close()
        except IndexError:  # another thread has taken it, or closed the pool
            return
        if self._is_closed:
            self.close()

    def close(self) -> None:
        """Close all connections, and from now on each one passed to `keep`."""
        self._is_closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()
