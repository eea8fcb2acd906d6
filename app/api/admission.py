"""Admit a request about jobs: it holds a request slot, and its client is watched, until its answer is sent."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import request

from app import errors
from app.api.request import JobRequest, client_socket, current_services, read_request
from app.api.sending import held_until_sent
from app.telemetry.trace import current
from app.theeye.callers import NOTHING, Runnable
from app.waiter.clients import Client


def admit(customer: str, runs: Runnable = NOTHING, job: str = "") -> tuple[JobRequest, Client]:
    """Admit the current request; return it as read, and its client. Raise TooBusy, or as read_request does."""
    if (trace := current()) is not None:
        trace.customer, trace.job = customer, job
        setattr(trace, runs.kind, runs.id)
    services = current_services()
    services.answers.admit()
    held = held_until_sent(request.environ)
    held.enter_context(services.request_slots.hold())
    held.slot = True
    client = held.enter_context(services.waiter.watch(client_socket(request.environ)))
    wanted = read_request(request, customer, runs)
    held.enter_context(services.request_slots.count_for(wanted.session.customer_id))
    return wanted, client


@contextmanager
def consequences(wanted: JobRequest) -> Iterator[None]:
    """Forget the session of a token that TheEye refuses; cancel the job of a gone client that asked for it."""
    services = current_services()
    try:
        yield
    except (errors.Unauthorized, errors.Refused) as error:
        if error.status in (401, 409):  # 409: the token's session has changed its organisation
            services.sessions.forget(wanted.caller.token)
        raise
    except errors.ClientGone as error:
        if wanted.cancels_on_disconnect and error.job is not None:
            services.cancellations.later(wanted.caller, error.job.id)
        raise
