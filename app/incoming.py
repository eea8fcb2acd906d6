"""A request about a job, read and checked before anything is done for it."""

import socket
from time import monotonic

from flask import request

from app.asked import Asked
from app.clients import Client
from app.errors import BadRequest, SyncError, TooLarge, TooSlow
from app.preferences import budget, cancels_on_disconnect
from app.query import Query
from app.rendering import choose
from app.services import Services
from app.session import token_of

BODY_SECONDS = 10.0  # in which the next piece of the body, or its end, must arrive
BODY_PIECE = 64 * 1024


def client_socket() -> socket.socket | None:
    """The current client's socket, where the host shows it (gunicorn)."""
    sock: socket.socket | None = request.environ.get("gunicorn.socket")
    return sock


def read_request(services: Services, customer: str) -> Asked:
    """The current request, with its session. Raises BadRequest, Unauthorized, Forbidden or UpstreamFailed."""
    query = Query(request.environ.get("QUERY_STRING", ""))
    token = token_of(request.headers.get("Authorization"), query, services.settings.query_token)
    return Asked(
        query=query,
        token=token,
        budget=budget(query, request.headers.get("Prefer"), services.settings.wait_seconds),
        cancels=cancels_on_disconnect(query, request.headers.get("Idempotency-Key")),
        session=services.sessions.get(token, customer),
        formatter=choose(services.formatters, query.first, request.headers.get("Accept", "")),
    )


def read_body(most: int, client: Client) -> bytes:
    """The request's whole body. Raises TooLarge, TooSlow, or BadRequest where less of it came than was promised."""
    announced = request.content_length
    if announced is not None and announced > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    try:
        body = _receive(most + 1, client)
    except Exception:  # noqa: BLE001 - gunicorn has errors of its own for chunks that are none
        raise _broken_off(client) from None
    if len(body) > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    if client.late or (announced is not None and len(body) != announced):
        raise _broken_off(client)
    return body


def _receive(most: int, client: Client) -> bytes:
    """At most so many bytes. Who is slower than a piece in BODY_SECONDS is cut off, where the host shows the socket."""
    body = bytearray()
    client.until = monotonic() + BODY_SECONDS
    while len(body) < most and (piece := request.stream.read(min(BODY_PIECE, most - len(body)))):
        body += piece
        client.until = monotonic() + BODY_SECONDS
    client.until = float("inf")
    return bytes(body)


def _broken_off(client: Client) -> SyncError:
    """What came of the body is not all; where it ends is unknown, so gunicorn must not look for another request."""
    request.environ["wsgi.input"].failed = True
    if client.late:
        return TooSlow(f"The body came too slowly: less than {BODY_PIECE} bytes in {BODY_SECONDS:g} seconds")
    return BadRequest("The body ended too early, or is not framed as HTTP wants it")
