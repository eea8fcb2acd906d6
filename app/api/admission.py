"""Admit a request about jobs: it holds a request slot, and its client is watched, until its answer is sent."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from app import errors
from app.api.request import JobRequest, client_socket, current_services, read_request
from app.api.sending import held_until_sent
from app.telemetry.trace import current
from app.theeye.callers import NOTHING, Runnable
from app.waiter.clients import Client


def admit(environ: dict[str, Any], customer: str, runs: Runnable = NOTHING, job: str = "") -> tuple[JobRequest, Client]:
    """Admit a request; return it as read, and its client. Raise TooBusy, or as read_request does."""
    if (trace := current()) is not None:
        trace.customer, trace.job = customer, job
        setattr(trace, runs.kind, runs.id)
    services = current_services()
    slots, waiter, held = services.request_slots, services.waiter, held_until_sent(environ)
    services.answers.admit()
    slots.take()
    held.add(slots.free)
    held.slot = True
    client = waiter.watch(client_socket(environ))
    held.add(waiter.ignore, client)
    wanted = read_request(services, environ, customer, runs)
    slots.count_for(wanted.session.customer_id)
    held.add(slots.free_for, wanted.session.customer_id)
    return wanted, client


class Consequences(AbstractContextManager["Consequences"]):
    """Forget the session of a token that TheEye refuses; cancel the job of a gone client that asked for it.

    A `with` block contains everything that is done for an admitted request.
    """

    __slots__ = ("_wanted",)

    def __init__(self, wanted: JobRequest) -> None:
        """Take the request."""
        self._wanted = wanted

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Act on the error, if there is one."""
        if error is None:
            return
        wanted = self._wanted
        if isinstance(error, errors.Unauthorized | errors.Refused):
            if error.status in (401, 409):  # 409: the token's session has changed its organisation
                wanted.services.sessions.forget(wanted.caller.token)
        elif isinstance(error, errors.ClientGone) and wanted.cancels_on_disconnect and error.job is not None:
            wanted.services.cancellations.later(wanted.caller, error.job.id)
