"""Test the limits in TheEye's documents."""

import pytest

from app.runs.history_limits import Limits


@pytest.mark.parametrize(
    ("document", "limit"),
    [
        ({"autoremove_completed_jobs_limit": 7}, 7),
        ({"task": {"autoremove_completed_jobs_limit": 7}}, 7),
        ({"autoremove_completed_jobs": False, "autoremove_completed_jobs_limit": 7}, None),
        ({"task": {"autoremove_completed_jobs": False}}, None),
        ({"autoremove_completed_jobs_limit": 1000}, None),
        ({"autoremove_completed_jobs_limit": 0}, 5),
        ({"autoremove_completed_jobs_limit": -1}, None),
        ({"task": {"autoremove_completed_jobs_limit": -3}}, None),
        ({"autoremove_completed_jobs_limit": "7"}, 5),
        ({"task": "x"}, 5),
        ({}, 5),
    ],
)
def test_limits_are_learned_from_documents(document: dict[str, object], limit: int | None) -> None:
    limits = Limits(enough=1000)
    limits.learn("t", document)
    assert limits.get("t") == limit

    if limit is None:
        limits.learn("t", {"name": "says nothing"})
        assert limits.get("t") is None, "a limit follows the newest document that says something"


def test_a_limit_that_was_taken_away_is_theeyes_default() -> None:
    limits = Limits(enough=1000)
    limits.learn("t", {"autoremove_completed_jobs_limit": 9})
    limits.learn("t", {"autoremove_completed_jobs_limit": None})
    assert limits.get("t") == 5
