"""Test that the test helper for authors of plugins does what the service does."""

from typing import Any

import pytest
from support.plugins import Shout, with_attributes

import formatters
from app.api.formatting import render
from app.api.query import Query
from formatters import Answer, BadQuery, Context, Formatter, RegistrationError, Registry
from formatters.testing import USUAL, golden_jobs, run, sample_jobs, try_all


def test_run_goes_through_choice_check_format_and_the_services_rules() -> None:
    job = {"output": ["x"]}
    assert run(Shout(), job, "loud").text == "['X']"
    assert run(Shout(), job, accept="text/shout").content_type == "text/plain; charset=utf-8"
    with pytest.raises(AssertionError, match="the mode 'output' is chosen, not 'shout'"):
        run(Shout(), job)
    with pytest.raises(AssertionError, match="the mode 'full' is chosen"):
        run(Shout(), job, "shout&full")
    with pytest.raises(BadQuery):
        run(Shout(), job, "shout=thrice")
    with pytest.raises(RegistrationError):
        run(with_attributes(queries=("wait",)), job, "wait")
    with pytest.raises(formatters.BadAnswer):
        run(with_attributes(format=lambda self, context: None), job, "other")


@pytest.mark.parametrize("case", golden_jobs(), ids=lambda case: case["name"])
def test_run_answers_as_the_service_does(case: dict[str, Any]) -> None:
    registry = Registry()
    asked = Query(case["query"]).first
    formatter = registry.choose(asked)
    served = render(formatter, Context({**USUAL, **case["job"]}, asked), [])
    helped = run(formatter, case["job"], case["query"])
    assert served.status_code == helped.status == case["status"]
    if helped.status not in (204, 205, 304):
        assert (served.data, served.headers["Content-Type"]) == (helped.body, helped.content_type)


def test_try_all_goes_through_every_sample_job() -> None:
    found = try_all(Registry()["parse"], "parse")
    assert found.keys() == sample_jobs().keys()
    assert {case["name"] for case in golden_jobs()} < found.keys()


def test_try_all_finds_what_raises_and_what_changes_the_job() -> None:
    def change(self: Formatter, context: Context) -> Answer:
        if isinstance(context.output, list):
            context.output.append(1)
        return Answer(None, 200)

    with pytest.raises(AssertionError, match="other changes the job"):
        try_all(with_attributes(format=change), "other")
    with pytest.raises(ZeroDivisionError):
        try_all(with_attributes(format=lambda self, context: 1 / 0), "other")
