"""Turn a request into a job: send at most one create, under the history guard and the request's idempotency key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import NamedTuple

from app.errors import ClientGone, JobGone, NoFreeSlot, NotSupported, RunGone, SyncError, TooBusy
from app.runs.durations import Durations
from app.runs.history import HistoryGuard
from app.runs.idempotency import LEASE_SECONDS, Key, Keys, Reservation
from app.runs.job_in_errors import JobInErrors
from app.runs.tasks import Tasks
from app.theeye.callers import TASK, Caller, Runnable
from app.theeye.jobs import Job
from app.theeye.runner import Runner, Runners
from app.waiter.clients import Client
from app.waiter.following import Follower, Following
from app.waiter.job_waiter import JobWaiter

TASK_SECONDS = 2.0, 8.0  # reading a task may take: at least, also at the deadline; at most, before a key's lease ends


@dataclass(slots=True)
class RunRequest:
    """Hold what to run and how long to wait; `query` and `body` are for TheEye, the body is dropped after the create.

    `at_once` means only to create the job, `watched` that the client wants each of its changes. `first_tasks` are those
    with which the client wants a workflow to begin. `job_id` is empty until the job exists. `release` is called when
    the body has been dropped.
    """

    caller: Caller
    query: str
    body: bytes | None
    key: Key | None
    seconds: float
    at_once: bool
    watched: bool = False
    first_tasks: Sequence[str] = ()
    job_id: str = ""
    release: Callable[[], None] = lambda: None
    name: str = field(init=False)  # this service's own of the task or workflow, unique among those of all customers

    def __post_init__(self) -> None:
        """Set the name."""
        self.name = _name(self.caller)


class Run(NamedTuple):
    """Hold a job, ended or as last read; `replayed` means that an earlier request with the same key created it."""

    job: Job
    replayed: bool = False


class Runs:
    """Start jobs and wait for them."""

    def __init__(
        self,
        runners: Runners,
        waiter: JobWaiter,
        guard: HistoryGuard,
        keys: Keys | None,
        durations: Durations,
    ) -> None:
        """Start nothing yet; `keys` is None without a Redis to store them."""
        self._runners = runners
        self._waiter = waiter
        self._guard = guard
        self._keys = keys
        self._durations = durations
        self._tasks = Tasks(runners, guard.limits)

    def follow(self, request: RunRequest, client: Client) -> Following[Run]:
        """Yield the job once it exists and after each look; return the run. Raise SyncError of any kind."""
        trace = request.caller.trace
        began = monotonic()
        follower = Follower(request.caller, client, began + request.seconds, request.watched)
        reservation = self._reserve(request, follower)
        if isinstance(reservation, str):
            trace.create, trace.joined = monotonic() - began, True
            request.job_id, request.body = reservation, None
            request.release()
            job = yield from self._join(request, reservation, follower)
            self._durations.learn(request.caller.customer_id, request.caller.runs.name, job)
            return Run(job, replayed=True)
        try:
            return Run((yield from self._start(request, follower, reservation, began)))
        except SyncError as error:
            if not trace.create:  # the request has failed before its create: in the queue
                trace.queue = monotonic() - began
            if reservation is not None:
                reservation.settle(error)
            if isinstance(error, NoFreeSlot):
                error.tell(request.caller.runs.kind, self._expected(request.caller))
            raise

    def _reserve(self, request: RunRequest, follower: Follower) -> Reservation | str | None:
        """Return a reservation of the request's key, or the id of the key's job, or None without a key."""
        if request.key is None:
            return None
        if self._keys is None:
            raise NotSupported("Idempotency-Key needs SYNC_REDIS_URL, nothing was started")
        return self._keys.reserve(request.key, LEASE_SECONDS, partial(self._left, follower))

    def _join(self, request: RunRequest, job_id: str, follower: Follower) -> Following[Job]:
        """Follow the job of the first request with this key. Raise RunGone."""
        try:
            with JobInErrors(Job(job_id)):
                since = self._waiter.listen()
                found = self._waiter.fetch(follower, job_id)
                if found.has_ended or request.at_once:
                    yield found
                    return found
                keep = partial(self._keep, request.key, job_id)
                return (yield from self._waiter.follow(follower, found, since, renew=keep))
        except JobGone as error:
            raise RunGone("The job of this Idempotency-Key is gone", job=error.job) from None

    def _keep(self, key: Key | None, job_id: str) -> None:
        """Store the job of a key again, for Redis may have lost it, and its own request may not wait any more."""
        if key is not None and self._keys is not None:
            self._keys.keep(key, job_id)

    def _start(
        self, request: RunRequest, follower: Follower, reservation: Reservation | None, began: float
    ) -> Following[Job]:
        """Create the job when the history guard permits, and follow it."""
        caller = request.caller
        self._check_task(request, follower)
        with self._guard.protect(request.name, partial(self._left, follower, reservation)) as protection:
            since = self._admit(follower.client, reservation)
            sent = monotonic()
            job = self._create(request, protection.queued, began)
            light = job.without_document()
            with JobInErrors(light):
                confirm = partial(_confirm, reservation, job.id)
                confirm()  # before anything else can fail: then a repeated request joins the job
                protection.created()
                self._learn_limit(request, job)
                if request.at_once:
                    yield job
                    return job
                if not job.has_ended:
                    job = light
                job = yield from self._follow_created(_as_of(sent, follower), job, since, confirm)
                self._learn_limit(request, job)
                self._durations.learn(caller.customer_id, caller.runs.name, job, monotonic() - sent)
                if reservation is not None and self._waiter.listen() != since:
                    confirm()  # the connection to Redis was lost, and perhaps the record too
        return job

    def _check_task(self, request: RunRequest, follower: Follower) -> None:
        """Check that TheEye shows the caller what to run, and ask Redis how long runs take. Raise as Tasks.check."""
        caller = request.caller
        least, most = TASK_SECONDS
        deadline = monotonic() + min(max(self._left(follower), least), most)
        self._tasks.check(caller, request.name, deadline - monotonic())
        for task in request.first_tasks:
            of_task = replace(caller, runs=Runnable(TASK, task))
            self._tasks.check(of_task, _name(of_task), deadline - monotonic())
        self._durations.recall(caller.customer_id, caller.runs.name)

    def _learn_limit(self, request: RunRequest, job: Job) -> None:
        self._guard.limits.learn(request.name, self._runner(request.caller).limits_in(job))

    def _expected(self, caller: Caller) -> float | None:
        return self._durations.expected(caller.customer_id, caller.runs.name)

    def _runner(self, caller: Caller) -> Runner:
        return self._runners[caller.runs.kind]

    def _follow_created(self, follower: Follower, job: Job, since: int, renew: Callable[[], None]) -> Following[Job]:
        """Follow a job. If it is deleted before it is read, return it if the create has shown its end already.

        TheEye ends the job of a dummy task while it creates it, and other creates may delete it at once.
        """
        try:
            return (yield from self._waiter.follow(follower, job, since, renew=renew))
        except JobGone:
            if not job.has_ended:
                raise
            return job

    def _create(self, request: RunRequest, queued: float, began: float) -> Job:
        """Create the job; record its id, how long it queued and how long the create took."""
        trace = request.caller.trace
        body, request.body = request.body, None
        try:
            job = self._runner(request.caller).create(request.caller, request.query, body)
        finally:
            request.release()
            trace.queue = queued
            trace.create = monotonic() - began - queued
        request.job_id = trace.job = job.id
        return job

    def _left(self, follower: Follower, reservation: Reservation | None = None) -> float:
        """Return the seconds left for a create, 0 if the client has gone; renew the key's lease meanwhile."""
        if reservation is not None:
            reservation.renew()
        return 0.0 if follower.client.gone else max(self._waiter.left(follower.deadline), 0.0)

    def _admit(self, client: Client, reservation: Reservation | None) -> int:
        """Check, right before the create, that it is still wanted; return the epoch to wait from.

        Raise ClientGone, TooBusy or KeysUnavailable.
        """
        if client.gone:
            raise ClientGone("The client disconnected while it queued, nothing was started")
        since = self._waiter.listen()
        if self._waiter.is_over:
            raise TooBusy("The service is stopping, nothing was started")
        if reservation is not None:
            reservation.creating()
        return since


def _name(caller: Caller) -> str:
    return f"{caller.customer_id}:{caller.runs.name}"


def _as_of(time: float, follower: Follower) -> Follower:
    """Return the follower with as many seconds left now as it had at that time."""
    return follower._replace(deadline=monotonic() + max(follower.deadline - time, 0.0))


def _confirm(reservation: Reservation | None, job_id: str) -> None:
    if reservation is not None:
        reservation.confirm(job_id)
