"""The wait: from a job that was created to the job that has ended, before one absolute deadline."""

import logging
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from app.errors import ClientGone, TooBusy, Unavailable
from app.telemetry.metrics import Metrics
from app.telemetry.trace import Trace
from app.theeye.client import Job, Supervisor, has_ended
from app.waiter.clients import Client, Clients
from app.waiter.notifications import Wakeups

POLLING = 0.025, 1.0  # seconds between looks, first and most, when nobody tells us
SAFETY = 5.0, 15.0  # the same under notifications, so that a lost one costs seconds and not the answer
LAST_LOOK = 2.0  # seconds that a look at the deadline may take

log = logging.getLogger("theeye_sync.waiter")


@dataclass(frozen=True, slots=True)
class Target:
    """Whose job is waited for, and until when (monotonic seconds); `trace` takes what it costs."""

    customer: str
    token: str
    deadline: float
    trace: Trace = field(default_factory=Trace)


class _Pauses:
    """Growing pauses, spread a little so that waits do not look in step."""

    def __init__(self, first: float, most: float) -> None:
        self._next = first
        self._most = most

    def take(self) -> float:
        pause, self._next = self._next, min(self._next * 1.6, self._most)
        return pause * random.uniform(0.9, 1.1)


class Waiter:
    """All waits of this process."""

    def __init__(
        self,
        supervisor: Supervisor,
        wakeups: Wakeups,
        clients: Clients,
        max_waiting: int,
        metrics: Metrics | None = None,
    ) -> None:
        """`max_waiting`: how many requests may hold a place at once."""
        self.waiting = 0
        self._metrics = metrics
        self._clients = clients
        self._supervisor = supervisor
        self._wakeups = wakeups
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._end = float("inf")

    @contextmanager
    def place(self, sock: socket.socket | None) -> Iterator[Client]:
        """One of the places of SYNC_MAX_WAITING, for the client behind the socket. Raises TooBusy."""
        with self._lock:
            if self.waiting >= self._max_waiting:
                raise TooBusy(f"{self._max_waiting} requests are waiting already, nothing was started")
            self.waiting += 1
        try:
            if self._metrics is not None:
                self._metrics.parked(+1)
            with self._clients.watch(sock) as client:
                yield client
        finally:
            with self._lock:
                self.waiting -= 1
            if self._metrics is not None:
                self._metrics.parked(-1)

    def listen(self) -> int:
        """To be called before the create; returns the epoch for `wait`, which then misses nothing since."""
        self._wakeups.listen()
        return self._wakeups.epoch

    def end_all(self, seconds: float) -> None:
        """No wait lasts longer than that from now on: the service is stopping."""
        self._end = monotonic() + seconds
        self._wakeups.wake_all()

    def fetch(self, job_id: str, target: Target, client: Client) -> Job:
        """The job as it is now; what fails in passing is tried again until the deadline, then Unavailable is raised."""
        pauses, pause = _Pauses(*POLLING), threading.Event()
        client.wake = pause.set
        while True:
            if client.gone:
                raise ClientGone("The client has gone", job={"id": job_id})
            try:
                return _read(self._supervisor, job_id, target, max(self.left(target.deadline), LAST_LOOK))
            except Unavailable:
                if self.left(target.deadline) <= 0:
                    raise
                pause.wait(min(pauses.take(), max(self.left(target.deadline), 0)))

    def wait(
        self,
        job: Job,
        target: Target,
        client: Client,
        since: int,
        look_first: bool = False,
        renew: Callable[[], None] = lambda: None,
    ) -> Job:
        """The job once it has ended, or as last seen at the deadline; `look_first`: it may well have by now.

        `renew` is called whenever Redis is back: it may have forgotten what was kept there.

        Raises JobGone, Unauthorized, UpstreamFailed, or ClientGone when there is nobody left to wait for.
        """
        trace = target.trace
        began, reading = monotonic(), trace.read
        try:
            return self._wait(job, target, client, since, look_first, renew)
        finally:
            trace.wait += monotonic() - began - (trace.read - reading)

    def _wait(
        self, job: Job, target: Target, client: Client, since: int, look_first: bool, renew: Callable[[], None]
    ) -> Job:
        with self._wakeups.watch(job["id"], since) as told:
            client.wake = told.set
            if client.gone:  # while the job was being created
                told.set()
            if look_first or has_ended(job.get("lifecycle")):
                told.set()
            look = _Look(self._supervisor, job, target, lambda: max(self.left(target.deadline), LAST_LOOK))
            polling, safety = _Pauses(*POLLING), _Pauses(*SAFETY)
            while True:
                calm = self._wakeups.live and not look.failed
                pause = (safety if calm else polling).take()
                hint = told.wait(min(pause, max(self.left(target.deadline), 0)))
                told.clear()
                if not hint:
                    self._wakeups.keep_listening()
                if self._wakeups.live and self._wakeups.epoch != since:
                    since = self._wakeups.epoch
                    renew()
                if client.gone:
                    raise ClientGone("The client has gone", job=look.seen())
                left = self.left(target.deadline)
                if look.shows_end(hint or left <= 0) or self.left(target.deadline) <= 0:
                    return look.seen()

    @property
    def is_over(self) -> bool:
        """Whether the service is stopping and its grace is over: nothing may be started any more."""
        return monotonic() >= self._end

    def left(self, deadline: float) -> float:
        """Seconds until a deadline or the end of the service, whichever comes first; negative when it is over."""
        return min(deadline, self._end) - monotonic()


class _Look:
    """One wait's view of its job."""

    def __init__(self, supervisor: Supervisor, job: Job, target: Target, left: Callable[[], float]) -> None:
        self.job = job
        self._left = left
        self.failed = False
        self._id = job["id"]
        self._supervisor = supervisor
        self._target = target

    def shows_end(self, whole: bool) -> bool:
        """Looks once: at the document where `whole` or the last look failed, else at the lifecycle first."""
        try:
            ended = self._look(whole or self.failed)
        except Unavailable as error:
            if not self.failed:
                log.warning("job %s cannot be looked at for now: %s", self._id, error)
            self.failed = True
            return False
        self.failed = False
        return ended

    def seen(self) -> Job:
        """The job as last seen, in any case with its id."""
        return self.job if self.job.get("id") == self._id else {**self.job, "id": self._id}

    def _look(self, whole: bool) -> bool:
        if not whole:
            target = self._target
            lifecycle = self._supervisor.lifecycle(
                target.customer, self._id, target.token, self._left(), target.trace.headers
            )
            if not has_ended(lifecycle):
                self.job = {**self.job, "lifecycle": lifecycle}
                return False
        self.job = _read(self._supervisor, self._id, self._target, self._left())
        return has_ended(self.job.get("lifecycle"))


def _read(supervisor: Supervisor, job_id: str, target: Target, timeout: float) -> Job:
    """The whole job; how long that took is added to the request's record."""
    began = monotonic()
    try:
        return supervisor.read(target.customer, job_id, target.token, timeout, target.trace.headers)
    finally:
        target.trace.read += monotonic() - began
