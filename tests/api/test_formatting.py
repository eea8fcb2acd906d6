"""Test formatters inside the service: an error of one becomes a 400 or a 502."""

import signal
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import Mock

import pytest
from gunicorn.workers.base import Worker
from support.plugins import Plugin, Shout, with_attributes

from app.api.formatting import choose, render
from app.errors import BadRequest, FormatterFailed
from formatters import Answer, Context, Formatter, Registry


def test_its_own_argument_is_refused_in_its_own_words() -> None:
    registry = Registry()
    registry.register(Plugin(Shout()))
    assert choose(registry, {"shout": "twice"}, "").name == "shout"
    with pytest.raises(BadRequest, match="shout can only be twice"):
        choose(registry, {"shout": "thrice"}, "")


@pytest.mark.parametrize("error", [ValueError("secret"), SystemExit(1), RecursionError(), MemoryError(), KeyError("x")])
def test_a_check_that_fails_is_502_before_the_job(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    def check(self: Formatter, query: Mapping[str, str]) -> None:
        raise error

    registry = Registry()
    registry.register(Plugin(with_attributes(check=check)))
    with pytest.raises(FormatterFailed) as failed:
        choose(registry, {"other": ""}, "")
    told = {"message": "The formatter 'other' failed", "name": "ServerError", "code": "EFORMATTER"}
    assert failed.value.body() == {**told, "statusCode": 502, "status": 502, "formatter": "other"}
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "answered",
    [
        *(None, Answer("x", 199), Answer("x", 600), Answer("x", True), Answer(object(), 200)),
        *(Answer("x", 200, headers={"X": "a\r\nSet-Cookie: b"}), Answer("x", 200, "text/plain\r\nX: y")),
        Answer(1, 200, "text/plain"),
    ],
)
def test_an_answer_that_http_cannot_carry_is_the_formatters_failure(answered: Any) -> None:
    bad = with_attributes(format=lambda self, context: answered)
    with pytest.raises(FormatterFailed):
        render(bad, Context({"id": "j1"}), [])


@pytest.mark.parametrize("handler", [Worker.handle_abort, Worker.handle_quit])
def test_gunicorns_end_of_the_worker_goes_through_a_formatter(handler: Callable[..., None]) -> None:
    """Its signal handler raises SystemExit in the middle of a formatter that takes too long."""
    spins = with_attributes(format=lambda self, context: handler(Mock(), signal.SIGABRT, None))
    with pytest.raises(SystemExit):
        render(spins, Context({"id": "j1"}), [])


def test_an_output_that_a_mode_cannot_show_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for output in (["no"], ['{"headers":{"a\\n":"b"}}'], ['{"headers":{"Set-Cookie":"b"}}'], ["[" * 100_000]):
        caplog.clear()
        with pytest.raises(FormatterFailed):
            render(Registry()["response"], Context({"id": "j1", "output": output}), [])
        assert [(line.levelname, line.exc_info, "\n" in line.getMessage()) for line in caplog.records] == [
            ("WARNING", None, False)
        ]


@pytest.mark.parametrize(("own", "status"), [(200, 500), (204, 500), (304, 500), (404, 404), (503, 503)])
def test_a_crash_is_500_in_a_plugins_mode_too(own: int, status: int) -> None:
    formatter = with_attributes(format=lambda self, context: Answer("x", own, "text/plain"))
    got = render(formatter, Context({"id": "j1"}), [], lambda: True)
    assert (got.status_code, got.data) == (status, b"x")
