"""Call one of TheEye's servers for a caller."""

from time import monotonic

from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.theeye.callers import Caller
from app.theeye.shares import Names, Shares, ShareTaken
from app.theeye.transport import ALL_BUSY, CONNECTIONS, AllBusy, NotSent, Reply, Transport

QUEUE_SHARE = 0.5  # of a call's time; a create sent with little time left would be lost, although its job may start


class Server:
    """Make and count calls; the base class of gateway and supervisor."""

    def __init__(self, url: str, settings: Settings, metrics: Metrics | None) -> None:
        """Connect to nothing yet."""
        self.transport = Transport(
            url, settings.connect_timeout, settings.call_timeout, settings.max_job, settings.client_cert
        )
        self._metrics = metrics
        self._call_timeout = settings.call_timeout
        self._shares = Shares(CONNECTIONS)

    def _call(
        self,
        caller: Caller,
        names: Names,
        kind: str,
        method: str,
        path: str,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Make one call within the shares of the names, and count it by its kind. Raise TransportError."""
        seconds = self._call_timeout if timeout is None else min(timeout, self._call_timeout)
        began = monotonic()
        outcome: int | str = "lost"
        try:
            self._shares.take(names, began + seconds * QUEUE_SHARE)
            try:
                reply = self.transport.call(method, path, caller.headers, body, began + seconds - monotonic())
            finally:
                self._shares.give_back(names)
            outcome = reply.status
            return reply
        except ShareTaken:
            outcome = "not_sent"
            raise AllBusy(ALL_BUSY) from None
        except NotSent:
            outcome = "not_sent"
            raise
        finally:
            if self._metrics is not None:
                self._metrics.call(kind, outcome)
