"""Test the exit statuses, and which of them an answer gets."""

import json

import pytest
from support.pages import read

from app.client.outcome import Exit, answer_of

ENDED = {"x-job-state": "success"}


@pytest.mark.parametrize(
    ("status", "code", "headers", "exit"),
    [
        (202, "", {}, Exit.TIME_IS_UP),
        (504, "ETIMEISUP", {}, Exit.TIME_IS_UP),
        (409, "ESTARTING", {}, Exit.TIME_IS_UP),
        (400, "EINVALID", {}, Exit.REFUSED),
        (409, "EJOBENDED", ENDED, Exit.REFUSED),
        (422, "EKEYREUSED", {}, Exit.REFUSED),
        (429, "", {}, Exit.REFUSED),
        (409, "EOUTCOMEUNKNOWN", {}, Exit.SERVICE_FAILED),
        (410, "EJOBGONE", {}, Exit.SERVICE_FAILED),
        (502, "EFORMATTER", ENDED, Exit.SERVICE_FAILED),
        (503, "EBUSY", {}, Exit.SERVICE_FAILED),
        (302, "", {}, Exit.SERVICE_FAILED),
        (202, "", ENDED, Exit.SUCCESS),  # the job's own status
        (302, "", ENDED, Exit.SUCCESS),
        (502, "", ENDED, Exit.JOB_FAILED),
        (200, "", {"x-job-state": "canceled"}, Exit.JOB_FAILED),
    ],
)
def test_the_status_of_an_answer(status: int, code: str, headers: dict[str, str], exit: Exit) -> None:
    body = json.dumps({"message": "words", "code": code, "status": status}).encode()
    assert answer_of(status, headers, body).exit is exit


def test_the_page_explains_each_status() -> None:
    table = read("docs/cli.md").partition("## Exit status")[2]
    assert [int(line.split()[1]) for line in table.splitlines() if line[:3].strip("| ").isdigit()] == list(Exit)
