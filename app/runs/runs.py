"""From a request to its job: one create at the most, under the history guard and the request's idempotency key."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import NamedTuple

from app.errors import ClientGone, JobGone, NotSupported, RunGone, SyncError, TooBusy
from app.runs.asked import Asked, Order
from app.runs.history import HistoryGuard
from app.runs.idempotency import LEASE_SECONDS, Keys, Reservation
from app.theeye.client import Job, Supervisor, has_ended
from app.waiter.clients import Client
from app.waiter.job_waiter import Target, Waiter

LEARN_SECONDS = 2.0

log = logging.getLogger("theeye_sync")


class Run(NamedTuple):
    """A job, ended or as last seen, and how the request came by it."""

    job: Job
    replayed: bool = False


class Runs:
    """Starts jobs and waits for them."""

    def __init__(self, supervisor: Supervisor, waiter: Waiter, guard: HistoryGuard, keys: Keys | None) -> None:
        """No keys: there is no Redis to keep them in."""
        self._supervisor = supervisor
        self._waiter = waiter
        self._guard = guard
        self._keys = keys

    def run(self, asked: Asked, order: Order, client: Client) -> Run:
        """The request's job: a new one, or with a key seen before the one that exists. Raises any SyncError."""
        began = monotonic()
        patience = _Patience(self._waiter, client, began + asked.budget.seconds)
        reservation = self._reserve(asked, order, patience)
        if isinstance(reservation, str):
            asked.trace.create, asked.trace.joined = monotonic() - began, True
            return Run(self._join(asked, reservation, patience.deadline, client), replayed=True)
        try:
            return self._start(asked, order, client, patience, reservation, began)
        except SyncError as error:
            if not asked.trace.create:
                asked.trace.queue = monotonic() - began
            if reservation is not None:
                reservation.settle(error)
            raise

    def _start(
        self,
        asked: Asked,
        order: Order,
        client: Client,
        patience: "_Patience",
        reservation: Reservation | None,
        began: float,
    ) -> Run:
        guarded = f"{asked.session.customer_id}:{order.task.lower()}"
        self._learn(guarded, asked, order.task, patience)
        with self._guard.turn(guarded, partial(_left, patience, reservation)) as turn:
            if client.gone:
                raise ClientGone("The client went while it queued, nothing was started")
            since = self._waiter.listen()
            if self._waiter.is_over:
                raise TooBusy("The service is stopping, nothing was started")
            if reservation is not None:
                reservation.creating()
            left = max(patience.deadline - monotonic(), 0.0)  # the create itself takes nothing of it
            try:
                created = self._supervisor.create(
                    asked.session.customer, order.task, asked.token, order.arguments, order.body, asked.trace.headers
                )
            finally:
                asked.trace.queue = turn.queued
                asked.trace.create = monotonic() - began - turn.queued
            with telling(created):
                turn.created()
                self._guard.limits.learn(guarded, created)
                keep = partial(_keep, reservation, created["id"])
                keep()
                if asked.budget.at_once:
                    return Run(created)
                target = asked.target(left)
                job = self._waiter.wait(created, target, client, since, renew=keep)
                self._guard.limits.learn(guarded, job)
                if reservation is not None and self._waiter.listen() != since:
                    keep()  # Redis was away, and may have forgotten it
        return Run(job)

    def _learn(self, guarded: str, asked: Asked, task: str, patience: "_Patience") -> None:
        """Asks for a task's history limit the first time; every job document keeps it fresh from then on."""
        limits = self._guard.limits
        if self._guard.is_on and not limits.is_known(guarded):
            document = self._supervisor.task(
                asked.session.customer,
                task,
                asked.token,
                min(LEARN_SECONDS, max(patience.left(), 0.1)),
                asked.trace.headers,
            )
            if document is not None:
                limits.learn(guarded, document)
                limits.assume(guarded)

    def _reserve(self, asked: Asked, order: Order, patience: "_Patience") -> Reservation | str | None:
        if order.key is None:
            return None
        if self._keys is None:
            raise NotSupported("Idempotency-Key needs SYNC_REDIS_URL, nothing was started")
        return self._keys.reserve(order.key, LEASE_SECONDS, patience.left)

    def _join(self, asked: Asked, job_id: str, deadline: float, client: Client) -> Job:
        """The job of the first request with this key. Raises RunGone."""
        target = Target(asked.session.customer, asked.token, deadline, asked.trace)
        try:
            with telling({"id": job_id}):
                since = self._waiter.listen()
                found = {**self._waiter.fetch(job_id, target, client), "id": job_id}
                if has_ended(found.get("lifecycle")) or asked.budget.at_once:
                    return found
                return self._waiter.wait(found, target, client, since)
        except JobGone as error:
            raise RunGone("The job of this Idempotency-Key is gone", job=error.job) from None


class _Patience(NamedTuple):
    """How long a request can still wait for its job to be started."""

    waiter: Waiter
    client: Client
    deadline: float

    def left(self) -> float:
        """Seconds; 0 when nobody waits any more."""
        return 0.0 if self.client.gone else max(self.waiter.left(self.deadline), 0.0)


def _left(patience: _Patience, reservation: Reservation | None) -> float:
    """The patience that is left; asked for every second by a request that queues, whose key must stay its own."""
    if reservation is not None:
        reservation.renew()
    return patience.left()


def _keep(reservation: Reservation | None, job_id: str) -> None:
    if reservation is not None:
        reservation.confirm(job_id)


@contextmanager
def telling(job: Job) -> Iterator[None]:
    """Whatever goes wrong from here on, the client is told the job's id."""
    try:
        yield
    except SyncError as error:
        error.job = {**job, **(error.job or {})}
        raise
    except Exception as error:
        log.error("unexpected error with job %s", job["id"], exc_info=error)
        raise SyncError("Internal Server Error", job=job) from None
