"""What an error tells a client that repeats requests by itself."""

import pytest

from app import errors
from app.theeye.jobs import Job


def tree(kind: type[errors.SyncError]) -> list[type[errors.SyncError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in tree(child))]


STARTED_NOTHING = {"StillStarting", "TooBusy", "NoFreeSlot", "KeysUnavailable", "NotAsked"}


@pytest.mark.parametrize("kind", tree(errors.SyncError))
def test_nothing_that_may_have_started_a_job_invites_to_start_another(kind: type[errors.SyncError]) -> None:
    headers = kind(Job("1"), 0, "/x").headers if issubclass(kind, errors.TimeIsUp) else kind.headers
    assert ("Retry-After" in headers) == (kind.__name__ in STARTED_NOTHING | {"Accepted"})
    assert not kind.may_have_started or "Retry-After" not in headers
