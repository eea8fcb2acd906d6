"""gunicorn's threaded worker, which does not let clients that are slow to hang up hold its only loop."""

from typing import Any

from gunicorn.util import close_graceful
from gunicorn.workers.gthread import ThreadWorker

# Bytes of a refused body that are read and dropped: closing earlier resets the connection, and with it the answer.
DRAINED = 64 << 20


class Worker(ThreadWorker):  # type: ignore[misc]
    """Says goodbye to a client in a thread of the pool: it may take two seconds for each."""

    def handle(self, conn: Any) -> Any:
        """Serves one request, and closes the connection where that was its last."""
        keep = super().handle(conn)
        if not keep:
            close_graceful(conn.sock, max_drain=DRAINED)
            conn.close = lambda graceful=False: None  # the loop would do it again
        return keep
