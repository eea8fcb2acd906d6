"""Find the session of a token, and remember it for SYNC_SESSION_TTL."""

import threading
from collections import OrderedDict
from time import monotonic

from app.errors import Forbidden, Refused, TooBusy, Unauthorized, UpstreamFailed
from app.telemetry.metrics import Metrics
from app.theeye.callers import Caller, Session
from app.theeye.gateway import Gateway

SESSIONS = 10_000
RETRY_SECONDS = 5.0  # after a failure of the gateway, use a known session for this time before the next call


class Sessions:
    """Remember at most SESSIONS sessions; drop the least recently used one first."""

    def __init__(
        self, gateway: Gateway, ttl: float, metrics: Metrics | None = None, most_unknown: int = SESSIONS
    ) -> None:
        """Start empty. `ttl` is in seconds, 0 remembers nothing; `most_unknown` limits calls for new tokens at once."""
        self._unknown = threading.Semaphore(most_unknown)
        self._metrics = metrics
        self._gateway = gateway
        self._ttl = ttl
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[Session, float]] = OrderedDict()

    def get(self, caller: Caller) -> Session:
        """Return the session of the caller's token.

        Raise Unauthorized, Refused, UpstreamFailed, TooBusy, or Forbidden if the path has another customer.
        """
        known = self._remembered(caller.token)
        if self._metrics is not None:
            self._metrics.session(known is not None)
        session = known or self._ask(caller)
        caller.trace.user = session.user_id
        if caller.customer not in (session.customer, session.customer_id):
            raise Forbidden("Forbidden")
        return session

    def forget(self, token: str) -> None:
        """Drop the session of a token that TheEye refused."""
        with self._lock:
            self._known.pop(token, None)

    def _remembered(self, token: str, stale: bool = False) -> Session | None:
        with self._lock:
            session, until = self._known.get(token, (None, 0.0))
            if session is None or (until <= monotonic() and not stale):
                return None
            self._known.move_to_end(token)
            return session

    def _ask(self, caller: Caller) -> Session:
        """Call the gateway; while it is down use a known session: the supervisor checks the token of every call."""
        token = caller.token
        known = self._remembered(token, stale=True)
        try:
            session = self._gateway.session(caller, known) if known else self._ask_unknown(caller)
        except Unauthorized:
            self.forget(token)
            raise
        except (Refused, TooBusy, UpstreamFailed):
            if known is None:
                raise
            self._remember(token, known, RETRY_SECONDS)
            return known
        self._remember(token, session, self._ttl)
        return session

    def _ask_unknown(self, caller: Caller) -> Session:
        """Call the gateway for an unknown token; limit these calls, since some may never be answered."""
        if not self._unknown.acquire(blocking=False):
            raise TooBusy("Too many requests with unknown tokens are waiting already, nothing was started")
        try:
            return self._gateway.session(caller)
        finally:
            self._unknown.release()

    def _remember(self, token: str, session: Session, seconds: float) -> None:
        if self._ttl <= 0:
            return
        with self._lock:
            self._known[token] = (session, monotonic() + seconds)
            self._known.move_to_end(token)
            while len(self._known) > SESSIONS:
                self._known.popitem(last=False)
