"""Close a connection after its last answer, and end a worker at once."""

import logging
import socket
import struct
from typing import Any

from gunicorn.util import close_graceful

# Bytes of a refused body that are read and dropped. gunicorn's own 64 KiB (benoitc/gunicorn#3590) are less than a
# client may have sent when it is refused: the answer would be lost (test_closing.py).
MAX_DRAIN = 64 << 20


def close_after_client(sock: socket.socket) -> None:
    """Send no more, and close once the client has closed, or after 2 seconds (RFC 9112, section 9.6).

    A socket that is closed while the client still sends resets the connection, and the answer may be lost.
    """
    close_graceful(sock, max_drain=MAX_DRAIN)


def cut_off(sock: socket.socket, log: logging.Logger) -> None:
    """Reset the connection of a client that has not taken its answer in time: the kernel drops what it still holds."""
    log.warning("a client did not take its answer in time, its connection was cut off")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def refuse_max_requests(cfg: Any) -> None:
    """Raise SystemExit for `max_requests`: a worker that has had so many takes none until all its waits have ended.

    Only then does gunicorn start another (benoitc/gunicorn#2297): health checks would wait for minutes.
    """
    if cfg.max_requests:
        raise SystemExit("theeye-sync: max_requests cannot go with requests that wait: leave it out, or send SIGHUP")


class QuitsOnce:
    """Ignore the second of two signals to end at once; a mixin for worker classes.

    Ctrl-C sends SIGINT to all processes, and then the master sends SIGQUIT to its workers (benoitc/gunicorn#613). The
    second would write a traceback under gevent (benoitc/gunicorn#3239), and hang a threaded worker, which shuts its
    pool down in the handler (python/cpython#121649).
    """

    _quitting = False

    def handle_quit(self, number: int, frame: Any) -> None:
        """End at once, unless that has begun."""
        if not self._quitting:
            self._quitting = True
            super().handle_quit(number, frame)  # type: ignore[misc]
