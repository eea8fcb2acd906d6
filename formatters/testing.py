"""Test a formatter without a running service, by the same rules.

from formatters.testing import run, try_all

def test_shouts():
    answer = run(Shout(), {"state": "success", "output": ["hello"]}, "shout")
    assert answer.status == 200

def test_survives_whatever_jobs_there_are():
    try_all(Shout(), "shout")
"""

import copy
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl

from formatters.contract import BadOutput, Context, Formatter
from formatters.hookspecs import hookimpl
from formatters.loading import BUILT_IN
from formatters.registry import Registry
from formatters.rendering import Rendered, answered

__all__ = ["golden_jobs", "run", "sample_jobs", "try_all"]

USUAL: Mapping[str, Any] = {
    "id": "61f42186c38201da80f9a001",
    "name": "Rest API Response",
    "task_id": "61f3e937c38201da80f96c27",
    "customer_name": "acme",
    "lifecycle": "finished",
    "state": "success",
}
SUCCESS: Mapping[str, Any] = {
    "output": ['{"name":"tomer","date":"2022-01-28T17:00:22.676Z"}'],
    "result": {"code": 0, "log": "", "lastline": "", "signal": None, "killed": False},
}


class _Plugin:
    def __init__(self, formatter: Formatter) -> None:
        self._formatter = formatter

    @hookimpl
    def register_formatters(self) -> list[Formatter]:
        return [self._formatter]


def run(formatter: Formatter, job: Mapping[str, Any] | None = None, query: str = "", accept: str = "") -> Rendered:
    """Return the answer to one request in the formatter's mode; fill in a name, id and state that the job lacks.

    Register the formatter beside the built-ins, choose a mode by `query` and `accept`, then apply `check`, `format` and
    the rules of the service. Raise RegistrationError, BadQuery (the service answers 400), BadOutput or BadAnswer (502),
    any other error of the formatter (502), and AssertionError if another mode is chosen.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    first, names = dict(reversed(pairs)), [name for name, _ in pairs]
    _choose(formatter, first, accept)
    formatter.check(first)
    document = {**USUAL, **(SUCCESS if job is None else job)}
    return answered(
        formatter, Context(document, first, accept=accept, repeated={name for name in names if names.count(name) > 1})
    )


def try_all(formatter: Formatter, query: str = "", accept: str = "") -> dict[str, Rendered | BadOutput]:
    """Run the formatter on every sample job; return answers and BadOutputs by the job's name. Raise any other error."""
    found: dict[str, Rendered | BadOutput] = {}
    for name, job in sample_jobs().items():
        before = copy.deepcopy(job)
        try:
            found[name] = run(formatter, job, query, accept)
        except BadOutput as error:
            found[name] = error
        assert job == before, f"{formatter.name} changes the job {name}"
    return found


def sample_jobs() -> dict[str, dict[str, Any]]:
    """Return job documents by name: usual ones, and the oddest that TheEye can store."""
    return dict(_samples())


def golden_jobs() -> list[dict[str, Any]]:
    """Return the original service's answers, each with `name`, `job`, `query`, `status` and `body` (or `body_is`)."""
    cases: list[dict[str, Any]] = json.loads((files("formatters") / "data" / "golden_jobs.json").read_text("utf-8"))
    return cases


def _samples() -> Iterator[tuple[str, dict[str, Any]]]:
    for case in golden_jobs():
        yield case["name"], case["job"]
    odd = {"none": None, "empty": [], "text": "plain", "number": 7, "object": {"a": 1}, "mixed": [None, 1, {"a": [2]}]}
    for name, output in odd.items():
        yield f"odd-output-{name}", {"output": output}
    texts = {
        "not-json": "{",
        "deep": "[" * 50_000,
        "huge-number": "9" * 5_000,
        "half-a-character": '"\\ud800"',
        "raw-half-a-character": "\ud800",
        "line-breaks": "a\r\nSet-Cookie: b=c\r\n\r\n",
    }
    for name, text in texts.items():
        yield f"odd-text-{name}", {"output": [text]}


def _choose(formatter: Formatter, query: Mapping[str, str], accept: str) -> None:
    built_in = type(formatter).__module__ in {f"formatters.modes.{name}" for name in BUILT_IN}
    registry = Registry(entry_points=False)
    if not built_in:
        registry.register(_Plugin(formatter))
    chosen = registry.choose(query, accept)
    assert chosen.name == formatter.name, f"the mode {chosen.name!r} is chosen, not {formatter.name!r}"
