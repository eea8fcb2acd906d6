"""A request about a job, read and checked before anything is done for it."""

from time import monotonic, perf_counter

from app.api.formatting import choose
from app.api.preferences import budget, cancels_on_disconnect
from app.api.request import Request
from app.errors import BadRequest, SyncError, TooLarge, TooSlow
from app.runs.asked import Asked
from app.services import Services
from app.telemetry.trace import Trace
from app.theeye.client import Session
from app.theeye.sessions import token_of
from app.waiter.clients import Client
from formatters import Formatter

BODY_SECONDS = 10.0  # in which the next piece of the body, or its end, must arrive
BODY_PIECE = 64 * 1024


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


def read_body(request: Request, most: int, client: Client) -> bytes:
    """The request's whole body. Raises TooLarge, TooSlow, or BadRequest where less of it came than was promised."""
    announced = request.length
    if announced is None and request.is_chunked and not request.environ.get("wsgi.input_terminated"):
        raise BadRequest("This server reads no chunked bodies, send a Content-Length", status=411)
    if announced is not None and announced > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    try:
        body = _receive(request, most + 1, client)
    except Exception:  # noqa: BLE001 - gunicorn has errors of its own for chunks that are none
        raise _broken_off(request, client) from None
    if len(body) > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    if client.late or (announced is not None and len(body) != announced):
        raise _broken_off(request, client)
    return body


def _receive(request: Request, most: int, client: Client) -> bytes:
    """At most so many bytes. Who is slower than a piece in BODY_SECONDS is cut off, where the host shows the socket."""
    body, stream = bytearray(), request.stream
    client.until = monotonic() + BODY_SECONDS
    while len(body) < most and (piece := stream.read(min(BODY_PIECE, most - len(body)))):
        body += piece
        client.until = monotonic() + BODY_SECONDS
    client.until = float("inf")
    return bytes(body)


def _broken_off(request: Request, client: Client) -> SyncError:
    """What came of the body is not all; where it ends is unknown, so gunicorn must not look for another request."""
    if request.socket is not None:
        request.environ["wsgi.input"].failed = True
    if client.late:
        return TooSlow(f"The body came too slowly: less than {BODY_PIECE} bytes in {BODY_SECONDS:g} seconds")
    return BadRequest("The body ended too early, or is not framed as HTTP wants it")
