"""Follow a job: a generator yields it as it is seen on the way, or None as a sign of life, and returns the outcome.

Whoever closes such a generator tells that the client has gone.
"""

from collections.abc import Generator
from typing import TypeVar

from app.theeye.jobs import Job

Outcome = TypeVar("Outcome")

Following = Generator[Job | None, None, Outcome]


def outcome(following: Following[Outcome]) -> Outcome:
    """Return the outcome, whatever is seen on the way."""
    try:
        while True:
            next(following)
    except StopIteration as end:
        value: Outcome = end.value
        return value
