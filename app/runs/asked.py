"""What a caller asks for, once it has been read and checked."""

from time import monotonic
from typing import NamedTuple

from app.api.preferences import Budget
from app.api.query import Query
from app.runs.idempotency import Key
from app.telemetry.trace import Trace
from app.theeye.client import Session
from app.waiter.job_waiter import Target
from formatters import Formatter


class Asked(NamedTuple):
    """Who asks, in which mode, and how long they want to wait."""

    query: Query
    token: str
    formatter: Formatter
    budget: Budget
    cancels: bool
    session: Session
    trace: Trace

    def target(self, seconds: float) -> Target:
        """What to wait for, for so many seconds from now on."""
        return Target(self.session.customer, self.token, monotonic() + seconds, self.trace)


class Order(NamedTuple):
    """What a POST wants TheEye to run."""

    task: str
    arguments: str
    body: bytes | None
    key: Key | None
