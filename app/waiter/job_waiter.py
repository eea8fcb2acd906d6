"""Wait from a job's creation until its end, before one absolute deadline.

All deadlines are seconds of `time.monotonic`.
"""

import socket
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from time import monotonic

from app.errors import ClientGone, Unavailable
from app.telemetry.metrics import Metrics
from app.telemetry.trace import Trace
from app.theeye.jobs import Job
from app.theeye.runner import Runners
from app.waiter.clients import Client, Clients
from app.waiter.following import Follower, Following, outcome
from app.waiter.look import Look, read
from app.waiter.notifications import Notifications
from app.waiter.pauses import POLLING, SAFETY, BackOff
from app.waiter.permits import Permit, Permits
from app.waiter.wait import LAST_LOOK, Wait
from app.waiter.wakers import Reason, Waker
from app.waiter.watched_steps import WatchedSteps

BEAT_SECONDS = 10.0  # between two signs of life to a client that gets events: proxies cut idle connections


class JobWaiter:
    """Run all waits of this process."""

    def __init__(
        self,
        runners: Runners,
        notifications: Notifications,
        clients: Clients,
        permits: Permits,
        metrics: Metrics | None = None,
    ) -> None:
        """Take the parts; start nothing yet."""
        self._metrics = metrics
        self._clients = clients
        self._runners = runners
        self._notifications = notifications
        self._permits = permits
        self._end = float("inf")

    def watch(self, sock: socket.socket | None) -> Client:
        """Watch the client of a socket, until `ignore`: `gone` becomes true when it closes the connection."""
        return self._clients.watch(sock)

    def ignore(self, client: Client) -> None:
        """Watch the client no longer."""
        self._clients.ignore(client)

    def listen(self) -> int:
        """Start listening and return the epoch. Call it before the create: then `follow` misses no notification."""
        self._notifications.listen()
        return self._notifications.epoch

    def end_all(self, seconds: float) -> None:
        """End every wait within `seconds`: the service is stopping."""
        self._end = monotonic() + seconds
        self._notifications.wake_all()

    @property
    def is_over(self) -> bool:
        """Return whether the service is stopping and all waits must end: no job may be started any more."""
        return monotonic() >= self._end

    def left(self, deadline: float) -> float:
        """Return the seconds until a deadline, or the end of the service if that is earlier; negative after it."""
        return min(deadline, self._end) - monotonic()

    def fetch(self, follower: Follower, job_id: str) -> Job:
        """Read the job; after a temporary failure try again until the deadline.

        Raise Unavailable at the deadline, ClientGone, JobGone, Unauthorized or UpstreamFailed.
        """
        back_off, waker = BackOff(*POLLING), Waker()
        client, deadline, runner = follower.client, follower.deadline, self._runners[follower.caller.runs.kind]
        client.wake = waker.wake
        self._permits.count()
        with self._permits.permit(waker.wake) as permit:
            while True:
                if client.gone:
                    raise ClientGone("The client has gone", job=Job(job_id))
                looked = monotonic()
                try:
                    return read(runner, follower.caller, Job(job_id), max(self.left(deadline), LAST_LOOK))
                except Unavailable as error:
                    if "Retry-After" in error.headers:  # the client gets this header, and tries again
                        raise
                    waker.wait(min(back_off.next(), max(self.left(deadline), 0)))
                    if self.left(deadline) <= 0 or not self._queue_for_look(follower, permit, waker, looked):
                        raise

    def _queue_for_look(self, follower: Follower, permit: Permit, waker: Waker, looked: float) -> bool:
        """Wait for a permit to look. Return True with a permit or if the client has gone, False at the deadline."""
        while not permit.take() and not follower.client.gone:
            if self.left(follower.deadline) <= 0:
                return False
            permit.ask(looked)
            waker.wait(min(SAFETY[0], max(self.left(follower.deadline), 0)))
        return True

    def wait(self, follower: Follower, job: Job, since: int, *, look_first: bool = False) -> Job:
        """Return the job once it has ended, or as last read at the deadline. Raise as `follow` does."""
        return outcome(self.follow(follower, job, since, look_first=look_first))

    def follow(
        self,
        follower: Follower,
        job: Job,
        since: int,
        *,
        look_first: bool = False,
        renew: Callable[[], None] = lambda: None,
    ) -> Following[Job]:
        """Yield the job now and after each look; return it once it has ended, or as last read at the deadline.

        If the follower is `watched`, look after each change too, and yield None every BEAT_SECONDS. `since` is the
        epoch that `listen` returned; `look_first` means that the job may have ended already. `renew` is called after
        each pause and when Redis is back, to store again what Redis may have lost.
        Raise ClientGone, JobGone, Unauthorized or UpstreamFailed.
        """
        left = partial(self.left, follower.deadline)
        runner = self._runners[follower.caller.runs.kind]
        look = Look(runner, follower.caller, job, lambda: max(left(), LAST_LOOK))
        notifications, client, watched = self._notifications, follower.client, follower.watched
        with (
            _WaitTimer(follower.caller.trace),
            notifications.watch(job.id, since) as waker,
            notifications.watch_changes(job.id, waker) if watched else nullcontext(),
            self._permits.permit(waker.wake) as permit,
            WatchedSteps(notifications, waker, watched) as steps,
        ):
            client.wake = waker.wake
            if client.gone:
                waker.wake()
            if look_first or job.has_ended:
                waker.wake(Reason.TOLD)
            elif job.steps is not None and not job.steps.running:  # TheEye starts the first step with the job
                waker.wake(Reason.STEP)
            steps.follow(job)
            beat = BEAT_SECONDS if watched else float("inf")
            wait = Wait(look, waker, permit, client, notifications, steps, left, renew, self._found_unheard, beat)
            try:
                yield job
                return (yield from wait.until_end())
            except GeneratorExit:
                raise ClientGone("The client has gone", job=look.job) from None

    def _found_unheard(self, job: Job) -> None:
        """Count a job whose end a look has found without a notification."""
        if self._notifications.live:
            self._notifications.found_unheard(job.id)
            if self._metrics is not None:
                self._metrics.unheard()


class _WaitTimer:
    """Add the time of a block to the request's waiting time, without the reads, which are recorded separately."""

    __slots__ = ("_began", "_trace")

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __enter__(self) -> None:
        self._began = monotonic() - self._trace.read

    def __exit__(self, *_: object) -> None:
        self._trace.wait += monotonic() - self._trace.read - self._began
