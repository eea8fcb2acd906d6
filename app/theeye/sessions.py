"""From a request's token to its session, remembered for SYNC_SESSION_TTL."""

import re
import threading
from collections import OrderedDict
from time import monotonic

from app.api.query import Query
from app.errors import Forbidden, Unauthorized, UpstreamFailed
from app.telemetry.metrics import Metrics
from app.theeye.client import Gateway, Session

SESSIONS = 10_000
RETRY_SECONDS = 5.0  # how long a gateway that did not answer is not asked again about a session known before

_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")


def token_of(authorization: str | None, query: Query, query_token: bool) -> str:
    """The bearer token (RFC 6750). Raises Unauthorized for none, two, or one that no header can carry."""
    scheme, _, credentials = (authorization or "").strip().partition(" ")
    tokens = [credentials.strip()] if scheme.lower() == "bearer" else []
    if query_token:
        tokens += query.all("access_token")
    if len(tokens) != 1 or not _TOKEN.fullmatch(tokens[0]):
        raise Unauthorized
    return tokens[0]


class Sessions:
    """The sessions known, bounded: the one not used for longest goes first."""

    def __init__(self, gateway: Gateway, ttl: float, metrics: Metrics | None = None) -> None:
        """`ttl` in seconds; 0 remembers nothing."""
        self._metrics = metrics
        self._gateway = gateway
        self._ttl = ttl
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[Session, float]] = OrderedDict()

    def get(self, token: str, customer: str, headers: str = "") -> Session:
        """The token's session. Raises Unauthorized, UpstreamFailed, or Forbidden for another customer's.

        `headers`: further lines for the call to the gateway.
        """
        known = self._remembered(token)
        if self._metrics is not None:
            self._metrics.session(known is not None)
        session = known or self._ask(token, headers)
        if customer not in (session.customer, session.customer_id):
            raise Forbidden("Forbidden")
        return session

    def forget(self, token: str) -> None:
        """Called when TheEye refuses the token."""
        with self._lock:
            self._known.pop(token, None)

    def _remembered(self, token: str, stale: bool = False) -> Session | None:
        with self._lock:
            session, until = self._known.get(token, (None, 0.0))
            if session is None or (until <= monotonic() and not stale):
                return None
            self._known.move_to_end(token)
            return session

    def _ask(self, token: str, headers: str) -> Session:
        """Asks the gateway; while it is down a session known before goes on, the supervisor checks every call."""
        try:
            session = self._gateway.session(token, headers)
        except Unauthorized:
            self.forget(token)
            raise
        except UpstreamFailed:
            known = self._remembered(token, stale=True)
            if known is None:
                raise
            self._remember(token, known, RETRY_SECONDS)
            return known
        self._remember(token, session, self._ttl)
        return session

    def _remember(self, token: str, session: Session, seconds: float) -> None:
        if self._ttl <= 0:
            return
        with self._lock:
            self._known[token] = (session, monotonic() + seconds)
            self._known.move_to_end(token)
            while len(self._known) > SESSIONS:
                self._known.popitem(last=False)
