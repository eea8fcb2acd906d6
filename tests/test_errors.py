"""Test the tree of errors, and what an error tells a client that repeats requests automatically."""

import re

import pytest

from app import errors
from app.theeye.jobs import Job


def tree(kind: type[errors.SyncError]) -> list[type[errors.SyncError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in tree(child))]


def test_the_tree_at_the_head_of_the_file_has_every_error_below_its_kind() -> None:
    drawn = re.findall(r"^([│├└ ]*── )(\w+)", errors.__doc__ or "", re.MULTILINE)
    depths = {(name, len(branch) // 4) for branch, name in drawn}
    assert depths == {
        (kind.__name__, len(kind.__mro__) - len(errors.SyncError.__mro__)) for kind in tree(errors.SyncError)[1:]
    }


STARTED_NOTHING = {"StillStarting", "TooBusy", "NoFreeSlot", "KeysUnavailable", "NotAsked"}


@pytest.mark.parametrize("kind", tree(errors.SyncError))
def test_nothing_that_may_have_started_a_job_invites_to_start_another(kind: type[errors.SyncError]) -> None:
    headers = kind(Job("1"), 0, "/x").headers if issubclass(kind, errors.TimeIsUp) else kind.headers
    assert ("Retry-After" in headers) == (kind.__name__ in STARTED_NOTHING | {"Accepted"})
    assert not kind.may_have_started or "Retry-After" not in headers
