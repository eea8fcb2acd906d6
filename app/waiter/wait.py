"""Wait for the end of one job: pause, look when there is a reason, and once more at the deadline."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from app.errors import ClientGone
from app.theeye.jobs import Job
from app.waiter.clients import Client
from app.waiter.following import Following
from app.waiter.look import Look
from app.waiter.notifications import Notifications
from app.waiter.pauses import SAFETY, Pauses
from app.waiter.permits import Permit
from app.waiter.wakers import Reason, Waker
from app.waiter.watched_steps import WatchedSteps

LAST_LOOK = 2.0  # seconds; a look at the deadline may take, and may queue for, so long

_TOLD = {Reason.TOLD, Reason.STEP}  # reasons to look at once
_LOOK = {Reason.MISSED, Reason.CHANGED}  # reasons to look when it is permitted
_RENEW = {Reason.MISSED, Reason.FLUSHED}  # reasons to store again what Redis may have lost


@dataclass(slots=True)
class Wait:
    """Run one wait.

    `left` returns the seconds until the deadline, negative after it. `renew` stores again what Redis may have lost.
    `unheard` is called with a job that has ended without a notification. `beat`: seconds between two signs of life.
    """

    look: Look
    waker: Waker
    permit: Permit
    client: Client
    notifications: Notifications
    steps: WatchedSteps
    left: Callable[[], float]
    renew: Callable[[], None]
    unheard: Callable[[Job], None]
    beat: float
    _pauses: Pauses = field(default_factory=Pauses)
    _next_look: float = 0.0
    _next_beat: float = 0.0

    def until_end(self) -> Following[Job]:
        """Yield the job after each look, None at each beat; return it once it has ended, or as read at the deadline.

        Raise ClientGone, JobGone, Unauthorized or UpstreamFailed.
        """
        self._next_beat = monotonic() + self.beat
        self._plan_look()
        while True:
            reasons = self._pause()
            if self._may_look(reasons):
                is_over = self._shows_end(reasons) or (self.left() <= 0 and not self.permit.is_asked)
                yield self.look.job
                if is_over:
                    return self.look.job
            elif self.left() + LAST_LOOK <= 0:
                return self.look.job
            if monotonic() >= self._next_beat:
                self._next_beat += self.beat
                yield None

    def _pause(self) -> set[Reason]:
        """Pause until there may be something to do, and return why. Raise ClientGone."""
        now, left = monotonic(), self.left()
        next_look = now + SAFETY[0] if self.permit.is_asked else self._next_look
        if left <= 0:
            left = left + LAST_LOOK if self.permit.is_asked else 0.0  # else the look at the deadline is requested now
        until = min(next_look, self._next_beat, now + left)
        reasons = self.waker.wait(max(until - now, 0))
        if not reasons:
            self.notifications.keep_listening()
        if self.client.gone:
            raise ClientGone("The client has gone", job=self.look.job)
        if (not reasons or reasons & _RENEW) and self.notifications.live:  # also without a reason: Redis may evict keys
            self.renew()
        return reasons

    def _may_look(self, reasons: set[Reason]) -> bool:
        """Return whether to look now: after a notification of the end, or with a permit; else ask for a permit."""
        permitted = self.permit.take()
        if reasons & _TOLD:
            self.permit.count()
            self._pauses.quick()
            return True
        if not permitted and (monotonic() >= self._next_look or reasons & _LOOK or self.left() <= 0):
            self.permit.ask(self.look.at, first=self._pauses.are_quick or self.look.is_due)
        return permitted

    def _shows_end(self, reasons: set[Reason]) -> bool:
        """Look and return whether the job has ended; if not, plan or request the next look."""
        has_ended = self.look.shows_end(whole=Reason.TOLD in reasons or self.left() <= 0)
        steps = self.look.job.steps
        if has_ended:
            told = reasons & _TOLD or self._pauses.are_quick or (steps is not None and steps.silent)
            if not told:
                self.unheard(self.look.job)
            return True
        self.steps.follow(self.look.job)
        if steps is not None and steps.running and not steps.awaited:
            self._pauses.calm()
        self._plan_look()
        if self.look.is_due and not self.look.failed:
            self.permit.ask(self.look.at, first=True)
        return False

    def _plan_look(self) -> None:
        """Set the time of the next look without a notification."""
        self._next_look = monotonic() + self._pauses.next(self.notifications.live and not self.look.failed)
