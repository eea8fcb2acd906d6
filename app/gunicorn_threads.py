"""gunicorn's threaded worker, which does not let clients that are slow to hang up hold its only loop."""

from typing import Any

from gunicorn.util import close_graceful
from gunicorn.workers.gthread import ThreadWorker

from app.gunicorn_savings import in_one_segment, save


class Worker(ThreadWorker):  # type: ignore[misc]
    """Says goodbye to a client in a thread of the pool: it may take two seconds for each."""

    wsgi: Any

    def load_wsgi(self) -> None:
        """Loads the application."""
        super().load_wsgi()
        save()
        self.wsgi = in_one_segment(self.wsgi)

    def handle(self, conn: Any) -> Any:
        """Serves one request, and closes the connection where that was its last."""
        keep = super().handle(conn)
        if not keep:
            close_graceful(conn.sock)
            conn.close = lambda graceful=False: None  # the loop would do it again
        return keep
