"""Check that the settings name a gateway and a supervisor, and that both accept a token."""

from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from urllib.parse import quote

from app.checks.finding import Finding, fail, ok, warn
from app.checks.network import Unreachable, reach_endpoint
from app.errors import Unauthorized, UpstreamFailed
from app.settings import Settings, SettingsError
from app.theeye.callers import Caller
from app.theeye.endpoint import Endpoint
from app.theeye.gateway import Gateway
from app.theeye.supervisor import Supervisor
from app.theeye.transport import Reply, Transport, TransportError

SLOW = 1.0  # seconds; the first request of a token waits for the gateway, and every request for the supervisor

# Each server answers 401 to an unknown token on its own path, and does not know the other's path.
_STRANGER = "theeye-sync-check"
_UNKNOWN = Caller(_STRANGER, _STRANGER)
_NO_JOB = "0" * 24
_PROFILE = "/api/session/profile"
_JOB = f"/{_STRANGER}/job/{_NO_JOB}"


def gateway(settings: Settings) -> Iterator[Finding]:
    """Check that SYNC_GATEWAY_URL is a TheEye gateway."""
    yield _side("gateway", "supervisor", settings.gateway_url, Gateway, settings, (_PROFILE, _JOB))


def supervisor(settings: Settings) -> Iterator[Finding]:
    """Check that SYNC_SUPERVISOR_URL is a TheEye supervisor."""
    yield _side("supervisor", "gateway", settings.supervisor_url, Supervisor, settings, (_JOB, _PROFILE))


def session(settings: Settings, token: str) -> Iterator[Finding]:
    """Report the customer and user of a token, and whether the supervisor accepts it too."""
    try:
        asked, other = Gateway(settings), Supervisor(settings)
    except SettingsError as error:
        yield warn("token", f"not checked: {error}")
        return
    try:
        with closing(asked.transport):
            known = asked.session(Caller("", token))
    except Unauthorized:
        yield fail("token", "the gateway does not know it", "Use another, or log in again: a session lasts 24 hours")
        return
    except UpstreamFailed as error:
        yield fail("token", f"its user cannot be determined: {error.message}", "Look at the gateway first")
        return
    yield ok("token", f"customer {known.customer} ({known.customer_id}), user {known.user_id}")
    path = f"/{quote(known.customer, safe='')}/job/{_NO_JOB}"
    try:
        with closing(other.transport) as transport:
            yield _accepted(transport.call("GET", path, Caller("", token).headers), known.customer)
    except TransportError as error:
        yield fail("token", f"the supervisor did not answer: {error}", "Look at the supervisor first")


def _accepted(reply: Reply, customer: str) -> Finding:
    """Report whether the supervisor accepts the token, from its reply about a job that does not exist."""
    if reply.status == 404 and b"organization" in reply.body:
        return fail(
            "token",
            f"the supervisor knows no customer {customer}",
            "Gateway and supervisor belong to two different TheEyes: correct one of the URLs",
        )
    if reply.status == 404:
        return ok("token", "the supervisor accepts it")
    if reply.status == 401:
        return fail(
            "token",
            "the gateway knows it, the supervisor does not",
            "Gateway and supervisor belong to two different TheEyes: correct one of the URLs",
        )
    if reply.status in (403, 409):
        return fail("token", f"the supervisor refuses it ({reply.status})", "Give its user the right to read jobs")
    return fail("token", f"the supervisor answers {reply.status}, not 404", "Look at the supervisor's log")


def _side(
    name: str,
    other: str,
    url: str,
    side: type[Gateway] | type[Supervisor],
    settings: Settings,
    paths: tuple[str, str],
) -> Finding:
    """Connect to a server as the service does, and check which server of TheEye it is."""
    try:
        transport = side(settings).transport
    except SettingsError as error:
        return fail(name, str(error), "The service does not start")
    variable = f"SYNC_{name.upper()}_URL"
    way = _way(transport.endpoint)
    try:
        reach_endpoint(transport.endpoint, settings.connect_timeout)
        return _identify(name, other, url, transport, variable, paths)
    except Unreachable as error:
        return fail(name, error.words, f"{error.advice} ({variable}{way})")
    except TransportError as error:
        return fail(name, f"{url} gives no answer: {error}", _unanswered(error, f"{variable}{way}", settings))
    finally:
        transport.close()


def _identify(name: str, other: str, url: str, transport: Transport, variable: str, paths: tuple[str, str]) -> Finding:
    """Call a path that only the wanted server knows; if that fails, call one that only the other server knows."""
    way = _way(transport.endpoint)
    began = monotonic()
    status = transport.call("GET", paths[0], _UNKNOWN.headers).status
    took = monotonic() - began
    if status == 401:
        words = f"{url} is a TheEye {name}{way}, and answered in {took * 1000:.0f} ms"
        return ok(name, words) if took < SLOW else warn(name, words, "That is slow, and every request waits for it")
    if transport.call("GET", paths[1], _UNKNOWN.headers).status == 401:
        return fail(name, f"{url} is a TheEye {other}{way}", "Are SYNC_GATEWAY_URL and SYNC_SUPERVISOR_URL swapped?")
    return fail(name, f"{url} answers {status} to an unknown token, not 401{way}", _advice(status, variable, url))


def _way(endpoint: Endpoint) -> str:
    """Name the proxy (without its password) and the trusted certificates, if they are used."""
    way = f", through the proxy {endpoint.proxy} ({endpoint.proxy.variable})" if endpoint.proxy else ""
    if endpoint.tls is not None:
        way += f", with the certificates of {endpoint.bundle.path} ({endpoint.bundle.variable or 'certifi'})"
    return way


def _advice(status: int, where: str, url: str) -> str:
    if 300 <= status < 400:
        return f"It redirects, and the service does not follow: set {where} to the target of the redirect"
    if status in (403, 407):
        return "A proxy or firewall in front of it refuses this host: look at its log"
    if status >= 500:
        return "It fails, or a proxy in front of it cannot reach it: look at its log"
    if url.endswith("/api"):
        return f"Leave /api out of {where}"
    return f"It is not TheEye: correct {where}"


def _unanswered(error: TransportError, where: str, settings: Settings) -> str:
    if "timed out" in str(error):
        return f"It accepts connections, but does not answer in {settings.call_timeout:g} s: look at its log"
    return f"It may not be an HTTP server, or it may need TLS: correct port and scheme of {where}"
