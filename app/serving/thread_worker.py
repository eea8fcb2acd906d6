"""gunicorn's threaded worker, which does not let slow clients hold its only loop, or its threads for ever."""

import os
import random
import socket
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from time import monotonic
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from app.serving.farewell import farewell
from app.serving.quit import QuitsOnce

HEAD_SECONDS = 20.0  # in which a request line and headers must arrive; in gunicorn itself they may take for ever


class Worker(QuitsOnce, ThreadWorker):  # type: ignore[misc]
    """Says goodbye to a client in a thread of the pool, which may take two seconds, and ends what is late."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As gunicorn calls it."""
        super().__init__(*args, **options)
        self._reading: dict[Any, float] = {}

    def take_a_core(self, siblings: Iterable[int]) -> None:
        """Runs on one core from now on, the one that the fewest of the other workers (by pid) have taken.

        Threads that hand Python's lock from core to core cost up to twice the CPU (docs/performance.md).
        """
        if not hasattr(os, "sched_setaffinity"):  # Linux has it
            return
        cores, taken = os.sched_getaffinity(0), Counter(chain.from_iterable(map(_cores_of, siblings)))
        least = min(taken[core] for core in cores)
        try:
            os.sched_setaffinity(0, {random.choice([core for core in cores if taken[core] == least])})
        except PermissionError:
            self.log.info("this worker may not choose a core, and costs more CPU on several")

    def handle(self, conn: Any) -> Any:
        """Serves one request, and closes the connection where that was its last."""
        self._reading[conn] = monotonic()
        try:
            keep = super().handle(conn)
        finally:
            self._reading.pop(conn, None)
        if not keep:
            farewell(conn.sock)
            conn.close = lambda graceful=False: None  # the loop would do it again
        return keep

    def handle_request(self, request: Any, conn: Any) -> Any:
        """Its head is here; after a body that broke off nobody knows where the next request begins."""
        self._reading.pop(conn, None)
        return super().handle_request(request, conn) and not getattr(request.body, "failed", False)

    def notify(self) -> None:
        """Called every second: ends the connections whose head is late."""
        super().notify()
        begun = monotonic() - HEAD_SECONDS
        for conn, since in self._reading.copy().items():
            if since < begun:
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)


def _cores_of(pid: int) -> set[int]:
    """The cores that a process may run on; none where it has ended."""
    try:
        return os.sched_getaffinity(pid)
    except ProcessLookupError:
        return set()
