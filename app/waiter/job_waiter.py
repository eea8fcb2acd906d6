"""Wait from a job's creation until its end, before one absolute deadline.

All deadlines are seconds of `time.monotonic`.
"""

import logging
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic

from app.errors import ClientGone, Refused, TooBusy, Unavailable
from app.telemetry.metrics import Metrics
from app.telemetry.trace import Trace
from app.theeye.callers import Caller
from app.theeye.jobs import Job
from app.theeye.shares import Shares, ShareTaken
from app.theeye.supervisor import Supervisor
from app.waiter.clients import Client, Clients
from app.waiter.looks import Looks, Permit
from app.waiter.notifications import Notifications

POLLING = 0.025, 1.0  # seconds between looks without notifications: the first pause and the longest
SAFETY = 5.0, 15.0  # the same with notifications, so that a lost one costs seconds and not the answer
QUICK_SECONDS = 5.0  # for which a wait polls after a notification that came before TheEye shows the end
LAST_LOOK = 2.0  # seconds that a look at the deadline may take, and may queue

log = logging.getLogger("theeye_sync.waiter")


class _BackOff:
    """Give growing pauses, spread by a tenth so that waits do not look in step."""

    def __init__(self, first: float, longest: float) -> None:
        self._next = first
        self._longest = longest

    def next(self) -> float:
        """Return the next pause in seconds."""
        pause, self._next = self._next, min(self._next * 1.6, self._longest)
        return pause * random.uniform(0.9, 1.1)


class _Pauses:
    """Give the pauses between the looks of one wait."""

    def __init__(self) -> None:
        self._polling, self._safety = _BackOff(*POLLING), _BackOff(*SAFETY)
        self._quick_until = float("-inf")

    def quick(self) -> None:
        """Poll for a while: the job is known to end."""
        self._polling, self._quick_until = _BackOff(*POLLING), monotonic() + QUICK_SECONDS

    @property
    def are_quick(self) -> bool:
        """Return whether the wait polls since a notification came."""
        return monotonic() < self._quick_until

    def next(self, notified: bool) -> float:
        """Return the next pause in seconds; `notified`: whether a notification will tell of the end."""
        return (self._safety if notified and not self.are_quick else self._polling).next()


class JobWaiter:
    """Carry all waits of this process."""

    def __init__(
        self,
        supervisor: Supervisor,
        notifications: Notifications,
        clients: Clients,
        looks: Looks,
        max_waiting: int,
        metrics: Metrics | None = None,
        most_of_customer: float = float("inf"),
    ) -> None:
        """Wait for nothing yet; `max_waiting`: how many requests may hold a slot at once, so many of one customer."""
        self._most_of_customer = most_of_customer
        self._customers = Shares()
        self.waiting = 0
        self._metrics = metrics
        self._clients = clients
        self._supervisor = supervisor
        self._notifications = notifications
        self._looks = looks
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._end = float("inf")

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the SYNC_MAX_WAITING slots. Raise TooBusy."""
        with self._lock:
            if self.waiting >= self._max_waiting:
                raise TooBusy(f"{self._max_waiting} requests are waiting already, nothing was started")
            self.waiting += 1
        try:
            if self._metrics is not None:
                self._metrics.parked(+1)
            yield
        finally:
            with self._lock:
                self.waiting -= 1
            if self._metrics is not None:
                self._metrics.parked(-1)

    @contextmanager
    def slot_of_customer(self, customer_id: str) -> Iterator[None]:
        """Count a slot as one of the customer's, from the time when the token is known. Raise TooBusy."""
        try:
            with self._customers.hold(customer_id, self._most_of_customer):
                yield
        except ShareTaken:
            message = f"{self._most_of_customer} requests of this customer are waiting already, nothing was started"
            raise TooBusy(message) from None

    def watch(self, sock: socket.socket | None) -> AbstractContextManager[Client]:
        """Watch the client behind the socket: `gone` turns true when it hangs up."""
        return self._clients.watch(sock)

    def listen(self) -> int:
        """Start listening. To be called before the create: with the epoch returned, `wait` misses nothing since."""
        self._notifications.listen()
        return self._notifications.epoch

    def end_all(self, seconds: float) -> None:
        """End every wait after so many seconds at the latest: the service is stopping."""
        self._end = monotonic() + seconds
        self._notifications.wake_all()

    @property
    def is_over(self) -> bool:
        """Return whether the service is stopping and its grace is over: nothing may be started any more."""
        return monotonic() >= self._end

    def left(self, deadline: float) -> float:
        """Return the seconds until a deadline or the end of the service, whichever is first; negative after it."""
        return min(deadline, self._end) - monotonic()

    def fetch(self, caller: Caller, job_id: str, deadline: float, client: Client) -> Job:
        """Return the job as it is now; repeat until the deadline what fails for a moment.

        Raise Unavailable at the deadline, ClientGone, JobGone, Unauthorized or UpstreamFailed.
        """
        back_off, woken = _BackOff(*POLLING), threading.Event()
        client.wake = woken.set
        self._looks.count()
        with self._looks.permit(woken.set) as permit:
            while True:
                if client.gone:
                    raise ClientGone("The client has gone", job=Job(job_id))
                looked = monotonic()
                try:
                    return _read(self._supervisor, caller, job_id, max(self.left(deadline), LAST_LOOK))
                except Unavailable as error:
                    if "Retry-After" in error.headers:  # the client is told when to come again
                        raise
                    woken.wait(min(back_off.next(), max(self.left(deadline), 0)))
                    if self.left(deadline) <= 0 or not self._queue_for_look(permit, woken, looked, deadline, client):
                        raise

    def _queue_for_look(
        self, permit: Permit, woken: threading.Event, looked: float, deadline: float, client: Client
    ) -> bool:
        """Return whether to go on: the look is permitted, or the client has gone; False at the deadline."""
        while not permit.take() and not client.gone:
            if self.left(deadline) <= 0:
                return False
            permit.ask(looked)
            woken.wait(min(SAFETY[0], max(self.left(deadline), 0)))
            woken.clear()
        return True

    def wait(
        self,
        caller: Caller,
        job: Job,
        deadline: float,
        client: Client,
        since: int,
        *,
        look_first: bool = False,
        renew: Callable[[], None] = lambda: None,
    ) -> Job:
        """Return the job once it has ended, or as last seen at the deadline.

        `since`: the epoch that `listen` returned; `look_first`: the job may have ended by now; `renew` is called
        after each pause and whenever Redis is back: it may have lost what was stored there.
        Raise ClientGone, JobGone, Unauthorized or UpstreamFailed.
        """
        with _timed(caller.trace), self._notifications.watch(job.id, since) as hinted:
            client.wake = hinted.set
            if look_first or job.has_ended or client.gone:  # gone while the job was being created
                hinted.set()
            look = _Look(self._supervisor, caller, job, lambda: max(self.left(deadline), LAST_LOOK))
            with self._looks.permit(hinted.set) as permit:
                return self._look_until_end(look, hinted, permit, deadline, client, since, renew)

    def _look_until_end(
        self,
        look: "_Look",
        hinted: threading.Event,
        permit: Permit,
        deadline: float,
        client: Client,
        since: int,
        renew: Callable[[], None],
    ) -> Job:
        notifications, pauses = self._notifications, _Pauses()
        while True:
            left = self.left(deadline)
            pause = SAFETY[0] if permit.is_asked else pauses.next(notifications.live and not look.failed)
            woken = hinted.wait(max(min(pause, left if left > 0 else left + LAST_LOOK), 0))
            hinted.clear()
            permitted = permit.take()
            if permitted:
                hinted.clear()  # the permit may have set it only now; what a notification tells, this look will see
            if not woken:
                notifications.keep_listening()
                if notifications.live:
                    renew()
            if client.gone:
                raise ClientGone("The client has gone", job=look.job)
            told = woken and not permitted and notifications.epoch == since
            if notifications.epoch != since:
                since = notifications.epoch
                if notifications.live:
                    renew()
            left = self.left(deadline)
            if told:
                permit.withdraw()
                self._looks.count()
                pauses.quick()
            elif permitted:
                pass
            elif left + LAST_LOOK <= 0:
                return look.job
            else:
                permit.ask(look.at, first=pauses.are_quick)
                continue
            if look.shows_end(told or left <= 0):
                if not told:
                    self._found_unheard(look.job)
                return look.job
            if look.is_due and not look.failed:
                permit.ask(look.at, first=True)
            elif self.left(deadline) <= 0:
                return look.job

    def _found_unheard(self, job: Job) -> None:
        """Count a job whose end a look has found, and no notification has told."""
        if self._notifications.live:
            self._notifications.found_unheard(job.id)
            if self._metrics is not None:
                self._metrics.unheard()


@contextmanager
def _timed(trace: Trace) -> Iterator[None]:
    """Add the time to what the request has waited, without the reads, which are counted on their own."""
    began, reading = monotonic(), trace.read
    try:
        yield
    finally:
        trace.wait += monotonic() - began - (trace.read - reading)


class _Look:
    """Look at the job of one wait, and remember what was seen."""

    def __init__(self, supervisor: Supervisor, caller: Caller, job: Job, seconds: Callable[[], float]) -> None:
        """Begin with the job as it was created; `seconds`: how long a look may take."""
        self.job = job
        self.at = monotonic()  # of the last look
        self.failed = False
        self.is_due = False  # whether the lifecycle has shown the end, and the document is still to be read
        self._light = True
        self._supervisor = supervisor
        self._caller = caller
        self._seconds = seconds

    def shows_end(self, whole: bool) -> bool:
        """Look once: at the document where `whole`, if the end is known or the last look failed, else the lifecycle."""
        self.at = monotonic()
        try:
            self._look(whole or self.failed or self.is_due or not self._light)
        except Unavailable as error:
            if not self.failed:
                log.warning("job %s cannot be looked at for now: %s", self.job.id, error)
            self.failed = True
            return False
        self.failed = False
        return self.job.has_ended and not self.is_due

    def _look(self, whole: bool) -> None:
        if not whole and (seen := self._at_lifecycle()) is not None:
            self.is_due = seen.has_ended
            self.job = self.job if self.is_due else seen
        else:
            self.job = _read(self._supervisor, self._caller, self.job.id, self._seconds())
            self.is_due = False

    def _at_lifecycle(self) -> Job | None:
        """Return the job at its lifecycle; None where TheEye does not show that: it needs more rights than the job."""
        try:
            return self.job.at(self._supervisor.lifecycle(self._caller, self.job.id, self._seconds()))
        except Refused:
            self._light = False
            return None


def _read(supervisor: Supervisor, caller: Caller, job_id: str, timeout: float) -> Job:
    """Return the whole job, and add the time to the request's record."""
    began = monotonic()
    try:
        return supervisor.read(caller, job_id, timeout)
    finally:
        caller.trace.read += monotonic() - began
