"""Read and check a request about a job, before any work is done for it."""

import socket
from time import perf_counter
from typing import Any, NamedTuple

from flask import Flask, Request, current_app, request

from app.api.events import are_wanted
from app.api.formatting import choose
from app.api.preferences import Budget, cancels_on_disconnect, read_budget
from app.api.query import Query
from app.api.strict import is_strict
from app.errors import Unauthorized
from app.services import EXTENSION, Services
from app.telemetry.tokens import is_token
from app.telemetry.trace import Trace, current
from app.theeye.callers import Caller, Runnable, Session
from app.theeye.sessions import Sessions
from formatters import Formatter


class JobRequest(NamedTuple):
    """Hold a request: caller, task or workflow, mode, and how long it may wait; the customer is that of the path.

    `services` are those of its application, and `environ` is its WSGI environ. `watched` means that the client wants
    each change of the job as an event.
    """

    services: Services
    environ: dict[str, Any]
    customer: str
    query: Query
    caller: Caller
    session: Session
    formatter: Formatter
    accept: str
    budget: Budget
    cancels_on_disconnect: bool
    is_strict: bool
    watched: bool


def current_services() -> Services:
    """Return the services of the current Flask application. An attribute of Flask's proxy costs three times as much."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    found: Services = app.extensions[EXTENSION]
    return found


def current_environ() -> dict[str, Any]:
    """Return the WSGI environ of the current request, in the same way."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found.environ


def read_request(services: Services, environ: dict[str, Any], customer: str, runs: Runnable) -> JobRequest:
    """Read a request about a job. Raise BadRequest, Unauthorized, Forbidden, TooBusy or UpstreamFailed."""
    settings, trace = services.settings, current() or Trace()
    query = Query(environ.get("QUERY_STRING", ""))
    token = token_of(environ.get("HTTP_AUTHORIZATION"), query, settings.query_token)
    trace.secrets = (token, *query.all("access_token"))
    budget = read_budget(query, environ.get("HTTP_PREFER"), settings.wait_seconds)
    cancels = cancels_on_disconnect(query, environ.get("HTTP_IDEMPOTENCY_KEY"))
    trace.follow_active_span()
    session = _session(services.sessions, Caller(customer, token, trace))
    accept: str = environ.get("HTTP_ACCEPT", "")
    formatter = choose(services.formatters, query.first, accept)
    trace.mode = formatter.name if runs.id else ""  # a list of tasks has no mode
    caller = Caller(session.customer, token, trace, runs, session.customer_id)
    return JobRequest(
        services=services,
        environ=environ,
        customer=customer,
        query=query,
        caller=caller,
        session=session,
        formatter=formatter,
        accept=accept,
        budget=budget,
        cancels_on_disconnect=cancels,
        is_strict=is_strict(query, settings.strict),
        watched=are_wanted(environ),
    )


def token_of(authorization: str | None, query: Query, query_token: bool) -> str:
    """Return the bearer token (RFC 6750). Raise Unauthorized for none, for several, or for an invalid one."""
    scheme, _, credentials = (authorization or "").strip().partition(" ")
    tokens = [credentials.strip()] if scheme.lower() == "bearer" else []
    if query_token:
        tokens += query.all("access_token")
    if len(tokens) != 1 or not is_token(tokens[0]):
        raise Unauthorized
    return tokens[0]


def client_socket(environ: dict[str, Any]) -> socket.socket | None:
    """Return the client's socket if the WSGI host shows it, as gunicorn does; else None."""
    sock: socket.socket | None = environ.get("gunicorn.socket")
    return sock


def _session(sessions: Sessions, caller: Caller) -> Session:
    began = perf_counter()
    try:
        session = sessions.get(caller)
    finally:
        caller.trace.session = perf_counter() - began
    caller.trace.customer = session.customer
    return session
