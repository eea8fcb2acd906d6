"""Follow a job: a generator yields it as it is seen on the way, or None as a sign of life, and returns the outcome.

Whoever closes such a generator tells that the client has gone.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

from app.theeye.callers import Caller
from app.theeye.jobs import Job
from app.waiter.clients import Client

Outcome = TypeVar("Outcome")

Following = Generator[Job | None, None, Outcome]


@dataclass(frozen=True, slots=True)
class Follower:
    """Hold on whose behalf a job is followed, for which client and until when; `watched`: each change is wanted.

    The deadline is in seconds of `time.monotonic`.
    """

    caller: Caller
    client: Client
    deadline: float
    watched: bool = False


def outcome(following: Following[Outcome]) -> Outcome:
    """Return the outcome, whatever is seen on the way."""
    try:
        while True:
            next(following)
    except StopIteration as end:
        value: Outcome = end.value
        return value
