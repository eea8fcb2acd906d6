"""Close a connection after its last answer, and end a worker at once."""

import logging
import socket
import struct
from typing import Any

from gunicorn.util import close_graceful

# Bytes of a refused body to read and drop. gunicorn's default is 64 KiB (benoitc/gunicorn#3590). A client may have sent
# more by then, and would lose the answer (test_closing.py).
MAX_DRAIN = 64 << 20


def close_after_client(sock: socket.socket) -> None:
    """Close the sending side, then close the socket when the client has, or after 2 s (RFC 9112, section 9.6).

    Closing a socket while the client still sends resets the connection, and the client may lose the answer.
    """
    close_graceful(sock, max_drain=MAX_DRAIN)


def cut_off(sock: socket.socket, log: logging.Logger) -> None:
    """Reset the connection of a client that did not read its answer in time: the kernel drops the unsent rest."""
    log.warning("a client did not read its answer in time, so its connection was closed")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def refuse_max_requests(cfg: Any) -> None:
    """Raise SystemExit if `max_requests` is set.

    A worker that has reached it accepts no request, and gunicorn replaces it only after its last wait has ended
    (benoitc/gunicorn#2297). Until then, perhaps for minutes, health checks get no answer.
    """
    if cfg.max_requests:
        raise SystemExit("theeye-sync: max_requests would cut waiting requests: remove it; SIGHUP renews the workers")


class QuitsOnce:
    """Ignore the second signal to quit; a mixin for worker classes.

    Ctrl-C sends SIGINT to all processes, and then the master sends SIGQUIT to its workers (benoitc/gunicorn#613). The
    second signal makes gevent print a traceback (benoitc/gunicorn#3239). It blocks a threaded worker for ever, because
    the signal handler shuts down the thread pool (python/cpython#121649).
    """

    _quitting = False

    def handle_quit(self, number: int, frame: Any) -> None:
        """Quit, unless the worker is quitting already."""
        if not self._quitting:
            self._quitting = True
            super().handle_quit(number, frame)  # type: ignore[misc]
