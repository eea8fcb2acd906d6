"""Know whether TheEye's servers answer, from looks in the background: a server that hangs delays no answer of ours."""

import logging
from time import monotonic

from app.theeye.transport import Transport, TransportError
from app.waiter.ticker import Ticker

LOOK_SECONDS = 2.0  # between two looks while somebody asks
IDLE_SECONDS = 30.0  # between two looks when nobody asks: each costs TheEye a call
RECENT_SECONDS = 60.0  # after a question, somebody still counts as asking
ANSWER_SECONDS = 3.0  # the timeout of one look

# What a proxy answers in place of a server behind it that it cannot use (RFC 9110, 15.5.8 and 15.6), Cloudflare's too.
_PROXY_ERRORS = frozenset({407, 502, 503, 504, *range(520, 531)})

log = logging.getLogger("theeye_sync.probes")


class Probe:
    """Look at one server again and again, in a thread of its own."""

    def __init__(self, name: str, transport: Transport) -> None:
        """Start nothing yet: the thread starts with the first request, so after any fork."""
        self._name = name
        self._transport = transport
        self._ticker = Ticker(f"theeye-sync-probe-{name}", self._look_if_due, LOOK_SECONDS, at_once=True)
        self._asked_at = self._seen_at = float("-inf")
        self._reachable: bool | None = None

    def begin(self) -> None:
        """Start looking in this process."""
        self._ticker.ensure_running()

    def stop(self) -> None:
        """End the thread after the look that is under way."""
        self._ticker.stop()

    @property
    def reachable(self) -> bool | None:
        """Return what the last look saw; None before the first one has ended."""
        return self._reachable

    @property
    def age(self) -> float:
        """Return how many seconds ago the last look ended."""
        return monotonic() - self._seen_at

    def look_often(self) -> None:
        """Look every LOOK_SECONDS for the next RECENT_SECONDS: somebody asks."""
        self._asked_at = monotonic()

    def _look_if_due(self) -> None:
        if monotonic() - self._asked_at < RECENT_SECONDS or self.age >= IDLE_SECONDS:
            self._reachable = self._answers()
            self._seen_at = monotonic()

    def _answers(self) -> bool:
        """Return whether the server itself gives any answer: no token is sent, so it may well be a refusal."""
        try:
            status = self._transport.call("GET", "/api/status", timeout=ANSWER_SECONDS).status
        except TransportError as error:
            log.debug("%s: %s", self._name, error)
            return False
        return status not in _PROXY_ERRORS
