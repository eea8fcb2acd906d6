"""Limit the requests about jobs that one process handles at once: all of them, and those of one customer."""

import threading

from app.errors import TooBusy
from app.telemetry.metrics import Metrics


class RequestSlots:
    """Give SYNC_MAX_WAITING slots to requests, and at most SYNC_MAX_WAITING_CUSTOMER of them to one customer."""

    def __init__(self, most: int, most_of_customer: int, metrics: Metrics | None = None) -> None:
        """Begin with all slots free."""
        self._most = most
        self._most_of_customer = most_of_customer
        self._metrics = metrics
        self._lock = threading.Lock()
        self.in_use = 0
        self._by_customer: dict[str, int] = {}

    def take(self) -> None:
        """Take a slot; the caller must free it. Raise TooBusy."""
        with self._lock:
            if self.in_use >= self._most:
                raise TooBusy(f"{self._most} requests are waiting already, nothing was started")
            if self._metrics is not None:
                self._metrics.parked(+1)
            self.in_use += 1

    def free(self) -> None:
        """Free a slot."""
        with self._lock:
            self.in_use -= 1
        if self._metrics is not None:
            self._metrics.parked(-1)

    def count_for(self, customer_id: str) -> None:
        """Count a slot for its customer, once the session is known. Raise TooBusy if the customer has too many."""
        most = self._most_of_customer
        with self._lock:
            held = self._by_customer.get(customer_id, 0)
            if held >= most:
                raise TooBusy(f"{most} requests of this customer are waiting already, nothing was started")
            self._by_customer[customer_id] = held + 1

    def free_for(self, customer_id: str) -> None:
        """Count a slot of a customer no longer."""
        with self._lock:
            self._by_customer[customer_id] -= 1
            if not self._by_customer[customer_id]:
                del self._by_customer[customer_id]
