"""A request about a job, read and checked before anything is done for it."""

from time import perf_counter

from app.asked import Asked
from app.errors import BadRequest, TooLarge
from app.preferences import budget, cancels_on_disconnect
from app.rendering import choose
from app.request import Request
from app.services import Services
from app.session import token_of
from app.theeye import Session
from app.trace import Trace
from formatters import Formatter

BODY_SECONDS = 10.0  # how long a client may keep us waiting for the next piece of its body


def read_request(request: Request, services: Services, customer: str) -> Asked:
    """What the request asks for, with its session. Raises BadRequest, Unauthorized, Forbidden or UpstreamFailed."""
    query, trace = request.query, request.trace
    token = token_of(request.header("HTTP_AUTHORIZATION"), query, services.settings.query_token)
    trace.secrets = (token, *query.all("access_token"))
    return Asked(
        query=query,
        token=token,
        budget=budget(query, request.header("HTTP_PREFER"), services.settings.wait_seconds),
        cancels=cancels_on_disconnect(query, request.header("HTTP_IDEMPOTENCY_KEY")),
        session=_session(services, token, customer, trace),
        formatter=_formatter(request, services),
        trace=trace,
    )


def _session(services: Services, token: str, customer: str, trace: Trace) -> Session:
    began = perf_counter()
    try:
        session = services.sessions.get(token, customer, trace.headers)
    finally:
        trace.session = perf_counter() - began
    trace.customer = session.customer
    return session


def _formatter(request: Request, services: Services) -> Formatter:
    formatter = choose(services.formatters, request.query.first, request.header("HTTP_ACCEPT") or "")
    request.trace.mode = formatter.name
    return formatter


def read_body(request: Request, most: int) -> bytes:
    """The request's whole body. Raises TooLarge, or BadRequest where less of it came than was promised."""
    announced = request.length
    if announced is not None and announced > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    try:
        body = _receive(request, most + 1)
    except Exception:  # noqa: BLE001 - gunicorn has errors of its own for chunks that are none
        raise BadRequest("The body ended too early, stalled, or is not framed as HTTP wants it") from None
    if len(body) > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    if announced is not None and len(body) != announced:
        raise BadRequest("The body ended before its Content-Length, or stalled")
    return body


def _receive(request: Request, most: int) -> bytes:
    """At most so many bytes. A client that stalls is cut off, where the host shows us its socket (gunicorn)."""
    sock = request.socket
    if sock is None or not (request.length or "HTTP_TRANSFER_ENCODING" in request.environ):
        return request.stream.read(most)
    before = sock.gettimeout()
    sock.settimeout(BODY_SECONDS)
    try:
        return request.stream.read(most)
    finally:
        sock.settimeout(before)
