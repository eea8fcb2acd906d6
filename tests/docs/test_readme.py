"""Test README, settings, reference: their tables fit the code. tests/sandbox/test_demo.py runs their commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from support.codes import codes_with_statuses
from support.examples import Answer, compare, examples
from support.pages import blocks, prose, read
from support.processes import CHECKOUT

from app.errors import UNSET, SyncError
from app.settings import Settings, variable_of
from app.theeye.jobs import Job

README, LEAME, ENGLISH, SPANISH = "README.md", "docs/README.es.md", "docs/api.md", "docs/api.es.md"
SETTINGS, TROUBLES = "docs/settings.md", "docs/troubleshooting.md"
CODE = "`(E[A-Z]+)`"


def test_the_readme_takes_a_minute_and_leads_to_every_page() -> None:
    text = read(README)
    assert len(text.splitlines()) < 150
    assert [page.name for page in (CHECKOUT / "docs").glob("*.md") if f"](docs/{page.name})" not in text] == []


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("200 OK", "200 Ok"),
        ("X-Job-State: success", "X-Job-State: failure"),
        ("X-Job-State: success\n", "X-Job-State: success\nX-Other: 1\n"),
        ("Content-Length: 50", "Content-Length: 51"),
        ("tomer", "Tomer"),
        ("application/json; charset", "application/json;charset"),
        ('W/"32-', 'W/"33-'),
        ("2026-11-23T", "2026-11-23 "),
        ("X-Job-Lifecycle: finished\nX-Job-State: success", "X-Job-State: success\nX-Job-Lifecycle: finished"),
    ],
)
def test_a_wrong_answer_is_noticed(true: str, false: str) -> None:
    text = examples(ENGLISH)[0][1]
    assert true in text
    compare(Answer.read(text), Answer.read(text))
    with pytest.raises(AssertionError):
        compare(Answer.read(text.replace(true, false)), Answer.read(text))


def rows(page: str) -> list[list[str]]:
    """Return the cells of all table rows, including the lines of dashes."""
    lines = [line for line in prose(page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code_in(cell: str) -> str:
    found = re.fullmatch(r"`([^`]+)`", cell)
    return found[1] if found else ""


def rows_about(page: str, pattern: str) -> dict[str, list[str]]:
    """Return the rows whose first cell matches a pattern, by the name in it."""
    found: dict[str, list[str]] = {}
    for row in rows(page):
        if name := re.fullmatch(pattern, row[0]):
            assert name[1] not in found, f"{page} has two rows about {name[1]}"
            found[name[1]] = row
    return found


def test_every_setting_stands_in_its_table_with_its_default_and_its_words() -> None:
    documented = rows_about(SETTINGS, "`(SYNC_[A-Z_]+)`")
    declared = {variable_of(field.name): field.metadata["words"] for field in fields(Settings)}
    assert {variable: meaning for variable, (_, _, meaning) in documented.items()} == declared
    assert list(documented) == list(declared)
    for variable, (_, default, _) in documented.items():
        value = getattr(Settings(), variable.removeprefix("SYNC_").lower())
        if variable == "SYNC_WORKERS":
            assert default == "one for each core that the service may use"
        elif value in ("", ()):
            assert default == "empty"
        else:
            assert code_in(default), variable
            assert Settings.from_env({variable: code_in(default)}) == Settings(), variable


@pytest.mark.parametrize("page", [TROUBLES, ENGLISH, SPANISH])
def test_every_error_code_is_explained_with_its_statuses(page: str) -> None:
    codes = codes_with_statuses()
    assert len(codes) > 12
    documented = rows_about(page, CODE if page == SPANISH else rf"\[{CODE}\]\((?:troubleshooting\.md)?#\w+\)")
    assert documented.keys() == codes.keys()
    for code, statuses in codes.items():
        row = documented[code]
        assert int(row[1][:3]) in statuses, code
        for status in statuses:
            assert re.search(rf"\b{status}\b", " ".join(row)), f"{code} can also be {status}"


@pytest.mark.parametrize("page", [ENGLISH, SPANISH])
def test_every_error_code_has_an_example_of_its_shape(page: str) -> None:
    lines = [line for block in blocks(page) if block.language == "json" for line in block.text.splitlines()]
    found = set()
    for line in lines:
        body = json.loads(line)
        further = {name: body[name] for name in ("result_url", "formatter") if name in body}
        error = SyncError(body["message"], status=body["status"], code=body["code"], value=body.get("value", UNSET))
        error.job = Job(**body["job"]) if "job" in body else None
        assert list(body.items()) == [*error.body().items(), *further.items()]
        found.add(body["code"])
        if body["code"]:
            assert body["status"] in codes_with_statuses()[body["code"]]
    assert found - {""} == codes_with_statuses().keys()


# -- the two languages ----------------------------------------------------------------------------------


def headings(page: str) -> list[str]:
    return re.findall(r"^#+(?= )", prose(page), re.MULTILINE)


def tables(page: str) -> list[list[list[str]]]:
    """Return the code in the cells of each row; of an error the first cell: its meaning is in troubleshooting.md."""
    found = [row[:1] if re.match(r"\[?(?:`E[A-Z]+`|\*\()", row[0]) else row for row in rows(page)]
    code_in_cells = [[sorted(re.findall(r"`[^`]+`", cell)) for cell in row] for row in found]
    return [list(filter(None, row)) for row in code_in_cells]


def code(page: str) -> list[tuple[str, str]]:
    return [(block.language, block.text) for block in blocks(page)]


@pytest.mark.parametrize(("parts_of", "at_least"), [(headings, 20), (tables, 50), (code, 20)])
def test_both_languages_have_the_same(parts_of: Callable[[str], list[Any]], at_least: int) -> None:
    assert len(parts_of(ENGLISH)) > at_least
    assert parts_of(ENGLISH) == parts_of(SPANISH)
