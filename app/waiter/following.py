"""Follow a job with a generator: it yields the job after each look, or None as a sign of life, and returns the outcome.

Closing such a generator means that the client has gone.
"""

from collections.abc import Generator
from typing import NamedTuple, TypeVar

from app.theeye.callers import Caller
from app.theeye.jobs import Job
from app.waiter.clients import Client

Outcome = TypeVar("Outcome")

Following = Generator[Job | None, None, Outcome]


class Follower(NamedTuple):
    """Hold for whom a job is followed, and until when; `watched` means that the client wants each change.

    The deadline is in seconds of `time.monotonic`.
    """

    caller: Caller
    client: Client
    deadline: float
    watched: bool = False


def outcome(following: Following[Outcome]) -> Outcome:
    """Return the outcome; ignore everything yielded before."""
    try:
        while True:
            next(following)
    except StopIteration as end:
        value: Outcome = end.value
        return value
