"""Cancels the jobs of clients that have gone and asked for it, after a grace in which they may come back."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from app.errors import SyncError
from app.theeye.client import Supervisor
from app.waiter.notifications import Wakeups

GRACE_SECONDS = 3.0

log = logging.getLogger("theeye_sync.cancelling")


@dataclass(frozen=True, slots=True)
class _Order:
    customer: str
    job_id: str
    token: str
    headers: str = field(default="", compare=False)


class Cancellations:
    """The cancellations that are due."""

    def __init__(self, supervisor: Supervisor, wakeups: Wakeups) -> None:
        """None is due yet."""
        self._supervisor = supervisor
        self._wakeups = wakeups
        self._lock = threading.Lock()
        self._due: dict[_Order, threading.Timer] = {}
        self._stopping = False

    def later(self, customer: str, job_id: str, token: str, headers: str = "") -> None:
        """Cancels the job after the grace, unless someone waits for it again by then; `headers`: lines for the call."""
        order = _Order(customer, job_id, token, headers)
        timer = threading.Timer(GRACE_SECONDS, self._carry_out, [order])
        timer.daemon = True
        with self._lock:
            self._due[order] = timer
            stopping = self._stopping
        if stopping:  # no timer would live to see its hour: here the worker waits for us
            self._carry_out(order)
        else:
            timer.start()

    def all_now(self) -> None:
        """Carries out what is due: the process is stopping."""
        with self._lock:
            self._stopping, due = True, list(self._due)
        if due:
            with ThreadPoolExecutor(min(len(due), 32)) as pool:  # whoever takes an order out of `_due` carries it out
                list(pool.map(self._carry_out, due))

    def _carry_out(self, order: _Order) -> None:
        with self._lock:
            if self._due.pop(order, None) is None:
                return
        if self._wakeups.is_watched(order.job_id):
            return
        try:
            self._supervisor.cancel(order.customer, order.job_id, order.token, order.headers)
            log.info("job %s cancelled, its client has gone", order.job_id)
        except SyncError as error:
            log.warning("job %s could not be cancelled after its client had gone: %s", order.job_id, error)
        except Exception:
            log.exception("job %s could not be cancelled after its client had gone", order.job_id)
