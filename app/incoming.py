"""A request about a job, read and checked before anything is done for it."""

import socket

from flask import request

from app.asked import Asked
from app.errors import BadRequest, TooLarge
from app.preferences import budget, cancels_on_disconnect
from app.query import Query
from app.rendering import choose
from app.services import Services
from app.session import token_of

BODY_SECONDS = 10.0  # how long a client may keep us waiting for the next piece of its body


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


def read_body(most: int) -> bytes:
    """The request's whole body. Raises TooLarge, or BadRequest where less of it came than was promised."""
    announced = request.content_length
    if (
        announced is None
        and "HTTP_TRANSFER_ENCODING" in request.environ
        and not request.environ.get("wsgi.input_terminated")
    ):
        raise BadRequest("This server reads no chunked bodies, send a Content-Length", status=411)
    if announced is not None and announced > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    try:
        body = _receive(most + 1)
    except Exception:  # noqa: BLE001 - gunicorn has errors of its own for chunks that are none
        raise BadRequest("The body ended too early, stalled, or is not framed as HTTP wants it") from None
    if len(body) > most:
        raise TooLarge(f"The body is larger than {most} bytes")
    if announced is not None and len(body) != announced:
        raise BadRequest("The body ended before its Content-Length, or stalled")
    return body


def _receive(most: int) -> bytes:
    """At most so many bytes. A client that stalls is cut off, where the host shows us its socket (gunicorn)."""
    sock = client_socket()
    if sock is None or not (request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ):
        return request.stream.read(most)
    before = sock.gettimeout()
    sock.settimeout(BODY_SECONDS)
    try:
        return request.stream.read(most)
    finally:
        sock.settimeout(before)
