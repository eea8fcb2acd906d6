"""Test the steps of a workflow's job, from look to look."""

from typing import Any

import pytest

from app.theeye.jobs import Job
from app.theeye.steps import Steps


def document(number: int, lifecycle: str, second: int | None = None, created: int = 0) -> dict[str, Any]:
    found = {"id": f"j{number}", "lifecycle": lifecycle, "creation_date": f"2026-01-01T00:00:0{created}Z"}
    return found | ({} if second is None else {"last_update": f"2026-01-01T00:00:0{second}.5Z"})


def test_the_last_to_end_is_kept_from_look_to_look() -> None:
    two, three = document(2, "finished", 5), document(3, "finished", 4)
    seen = Steps().seen([document(1, "finished", 9), document(2, "ready"), document(3, "ready")])
    assert (seen.last["id"], [step.id for step in seen.running]) == ("j1", ["j2", "j3"])
    assert seen.seen([two, three]).last == two, "what ended in an earlier look has ended before"
    assert seen.seen([three]).seen([two, three]).last == two
    gone = seen.seen([three])
    assert [(step.id, step.has_ended, step.gone) for step in gone.all] == [
        *(("j1", True, False), ("j2", True, True), ("j3", True, False))
    ]
    assert gone.last == three, "in a chain it has ended after the lost one"
    unsure = seen.seen([three], is_chain=False)
    assert (unsure.last, unsure.seen([three]).last) == ({}, {}), "the lost one may have ended after it"
    assert unsure.seen([three, document(4, "finished", 1)]).last["id"] == "j4"
    assert gone.seen([three]).changed_at == gone.changed_at
    assert gone.seen([three, document(4, "ready")]).changed_at > gone.changed_at


@pytest.mark.parametrize("second", [1, None])
def test_of_those_that_ended_together_the_newest_is_the_last(second: int | None) -> None:
    shown = [document(2, "finished", second, 2), document(1, "finished", second, 1), {"lifecycle": "ready"}]
    assert Steps().seen(shown).last["id"] == "j2"
    assert [step.id for step in Steps().seen(shown).all] == ["j1", "j2"], "in order of creation"
    assert Steps().seen([document(1, "finished"), document(2, "finished")]).last["id"] == "j2"


def test_a_job_may_have_its_id_in_another_field() -> None:
    shown = {"_id": "j1", "lifecycle": "finished"}
    assert [step.id for step in Steps().seen([shown]).all] == ["j1"]
    assert (Job.of(shown).id, Job.of(shown).document) == ("j1", {**shown, "id": "j1"})
