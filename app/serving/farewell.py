"""The end of a connection, without losing the last answer on it (RFC 9112, section 9.6)."""

import socket

from gunicorn.util import close_graceful

DRAINED = 64 << 20  # bytes of a refused body that are read and dropped before giving up


def farewell(sock: socket.socket) -> None:
    """Closes once the client has, or after two seconds: earlier, what it still sends would reset the connection."""
    close_graceful(sock, max_drain=DRAINED)
