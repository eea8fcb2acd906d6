"""Probe TheEye's servers in the background, so that a server that hangs does not delay `/readyz`."""

import logging
from time import monotonic

from app.theeye.transport import Transport, TransportError
from app.waiter.ticker import Ticker

LOOK_SECONDS = 2.0  # between two probes while `/readyz` is in use
IDLE_SECONDS = 30.0  # between two probes otherwise: each costs TheEye a call
RECENT_SECONDS = 60.0  # `/readyz` counts as in use for this long after a call
ANSWER_SECONDS = 3.0  # the timeout of one probe

# A proxy reports with these that it cannot use the server (RFC 9110, 15.5.8 and 15.6); 520 to 530 are Cloudflare's.
_PROXY_ERRORS = frozenset({407, 502, 503, 504, *range(520, 531)})

log = logging.getLogger("theeye_sync.probes")


class Probe:
    """Probe one server at intervals, in a thread of its own."""

    def __init__(self, name: str, transport: Transport) -> None:
        """Start no thread yet: `begin` does, with the first request, which comes after any fork."""
        self._name = name
        self._transport = transport
        self._ticker = Ticker(f"theeye-sync-probe-{name}", self._look_if_due, LOOK_SECONDS, at_once=True)
        self._asked_at = self._seen_at = float("-inf")
        self._reachable: bool | None = None

    def begin(self) -> None:
        """Start the thread in this process."""
        self._ticker.ensure_running()

    def stop(self) -> None:
        """End the thread after its current probe."""
        self._ticker.stop()

    @property
    def reachable(self) -> bool | None:
        """Return whether the server answered the last probe; None before the first one has ended."""
        return self._reachable

    @property
    def age(self) -> float:
        """Return how many seconds ago the last probe ended."""
        return monotonic() - self._seen_at

    def look_often(self) -> None:
        """Probe every LOOK_SECONDS for the next RECENT_SECONDS."""
        self._asked_at = monotonic()

    def _look_if_due(self) -> None:
        if monotonic() - self._asked_at < RECENT_SECONDS or self.age >= IDLE_SECONDS:
            self._reachable = self._answers()
            self._seen_at = monotonic()

    def _answers(self) -> bool:
        """Return whether the server itself answers; any status counts, since the probe sends no token."""
        try:
            status = self._transport.call("GET", "/api/status", timeout=ANSWER_SECONDS).status
        except TransportError as error:
            log.debug("%s: %s", self._name, error)
            return False
        return status not in _PROXY_ERRORS
