"""Read the session of a token from TheEye's gateway."""

from typing import Any

from app.errors import GatewayFailed, TooBusy
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.theeye.callers import Caller, Session
from app.theeye.refusals import check_gateway
from app.theeye.replies import value_of
from app.theeye.server import Server
from app.theeye.shares import Names
from app.theeye.transport import AllBusy, TransportError

_PROFILE = "/api/session/profile?scopes[]=principal&scopes[]=organization"


class Gateway(Server):
    """Call TheEye's gateway, which knows the tokens."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        """Connect to nothing yet."""
        super().__init__(settings.gateway_url, settings, metrics)

    def session(self, caller: Caller, known: Session | None = None) -> Session:
        """Return the session of the caller's token; `known` is its last session, if there is one.

        Raise Unauthorized, Refused, TheEyeBusy, TooBusy or GatewayFailed.
        """
        try:
            reply = self._call(caller, _names(caller, known), "session", "GET", _PROFILE)
        except AllBusy as error:
            raise TooBusy(f"The gateway was not asked, nothing was started: {error}") from None
        except TransportError as error:
            raise GatewayFailed(f"The gateway did not answer: {error}") from None
        check_gateway(reply, caller.token)
        if reply.status != 200:
            raise GatewayFailed(f"The gateway answered with status {reply.status}")
        return _session(value_of(reply))


def _names(caller: Caller, known: Session | None) -> Names:
    """Return the names whose shares limit a call; for an unknown token the customer is that of the path."""
    if known is not None:
        customer = ("known", known.customer_id)
        return (customer, None), (("token", caller.token), customer)
    customer = ("unknown", caller.customer)
    return ("unknown", None), (customer, "unknown"), (("token", caller.token), customer)


def _session(profile: Any) -> Session:
    """Read the profile in both forms: with scopes, and the long form of old gateways."""
    parts: tuple[Any, ...] = ()
    try:
        user = profile.get("principal") or profile
        customer = profile.get("organization") or profile["current_customer"]
        parts = user["id"], customer["id"], customer["name"]
    except (AttributeError, TypeError, LookupError):
        pass
    if not parts or not all(isinstance(part, str) and part for part in parts):
        raise GatewayFailed("The gateway's answer is not a session")
    return Session(*parts)
