"""README, settings and reference: their commands are run for real, their tables are held against the code."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.codes import codes_with_statuses
from support.pages import ADDRESS, Block, blocks, prose, read
from support.processes import CHECKOUT, Redis, Service, clean_environment, need
from support.settings import environment

from app.api.responses import etag
from app.errors import UNSET, SyncError
from app.settings import Settings, variable_of
from app.theeye.jobs import Job
from sandbox import Sandbox

README, LEAME, ENGLISH, SPANISH = "README.md", "docs/README.es.md", "docs/api.md", "docs/api.es.md"
SETTINGS, TROUBLES = "docs/settings.md", "docs/troubleshooting.md"
CODE = "`(E[A-Z]+)`"
EXAMPLES = {README: 2, LEAME: 1, ENGLISH: 20, SPANISH: 20}  # at least, so that none is overlooked

LIVE = [  # what differs from run to run, with what stands for it
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<moment>"),
    (r'"times":\{"seconds":\d+,"nanoseconds":\d+\}', '"times":<times>'),
    (r'"node_hostname":"[^"]+"', '"node_hostname":<name>'),
    (r"dur=\d+\.\d\b", "dur=<ms>"),
    (r'"theeye_version":"[^"]+"', '"theeye_version":<version>'),
    (r'"age":\d+\.\d', '"age":<seconds>'),
    (r',"expected_seconds":[\d.]+', ""),  # known or not
    (r'"load_average":\[\d+\.\d+,\d+\.\d+,\d+\.\d+\]', '"load_average":<load>'),
]


# -- the commands ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A response, as printed by curl or in a document."""

    status_line: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @classmethod
    def read(cls, text: str) -> Answer:
        head, _, body = text.replace("\r\n", "\n").partition("\n\n")
        status_line, *lines = head.rstrip("\n").split("\n")
        headers = [line.partition(": ") for line in lines]
        return cls(status_line, tuple((name, value) for name, _, value in headers), body.rstrip("\n"))

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


def examples(page: str) -> list[tuple[str, str]]:
    """Each command with the answer printed beneath it."""
    found = []
    for block, following in pairwise([*blocks(page), Block("", "", "the end")]):
        if block.language == "sh" and "curl " in block.text:
            assert following.language == "http", f"no answer is printed beneath\n{block.text}"
            assert not following.gap.strip(), f"the answer does not stand beneath\n{block.text}"
            found.append((block.text, following.text))
    return found


def timeless(text: str) -> str:
    for pattern, name in LIVE:
        text = re.sub(pattern, name, text)
    return text


def headers_of(answer: Answer, names: set[str]) -> list[tuple[str, str]]:
    return [(name, timeless(value)) for name, value in answer.headers if name in names]


def compare(printed: Answer, got: Answer) -> None:
    """The status line, the headers that are printed, in their order, and the body; live values by their shape."""
    assert printed.status_line == got.status_line
    names = {name for name, _ in printed.headers}
    if timeless(printed.body) != printed.body and "ETag" in names:  # then each has a tag of its own
        names -= {"ETag"}
        for answer in (printed, got):
            assert answer.header("ETag") == etag(answer.body.encode())
    assert headers_of(printed, names) == headers_of(got, names)
    if printed.body:
        assert timeless(printed.body) == timeless(got.body)


class Runner:
    """Runs a page's commands in their order; job ids that the page prints stand for those of this run."""

    def __init__(self, request: pytest.FixtureRequest, home: Path) -> None:
        self._request = request
        self._environment = clean_environment() | {"CURL_HOME": str(home), "no_proxy": "*"}
        self._ids: dict[str, str] = {}

    def run(self, command: str, printed: str) -> tuple[Answer, Answer]:
        got = Answer.read(self._output(self._translated(command)))
        known, job_id = Answer.read(printed).header("X-Job-Id"), got.header("X-Job-Id")
        if known and job_id:
            self._ids.setdefault(known, job_id)
        return Answer.read(self._translated(printed)), got

    def _translated(self, text: str) -> str:
        for printed, real in self._ids.items():
            text = text.replace(printed, real)
        return text

    def _output(self, command: str) -> str:
        service = "service_with_redis" if "idempotency-key" in command else "demo_service"
        assert ADDRESS in command
        command = command.replace(ADDRESS, self._request.getfixturevalue(service).url)
        ran = subprocess.run(["sh", "-c", command], env=self._environment, capture_output=True, timeout=30)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout.decode()


@pytest.fixture(scope="module")
def service_with_redis(tmp_path_factory: pytest.TempPathFactory, redis_server: Redis) -> Iterator[Service]:
    database = tmp_path_factory.mktemp("readme") / "theeye.sqlite3"
    with (
        Sandbox(database=database, redis_url=redis_server.url) as sandbox,
        Service(environment(sandbox, redis_url=redis_server.url)) as running,
    ):
        yield running


@pytest.fixture
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    need("curl", "curl")
    return Runner(request, tmp_path)


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_commands_of_a_page_answer_as_it_says(page: str, runner: Runner) -> None:
    found = examples(page)
    assert len(found) >= EXAMPLES[page]
    for command, printed in found:
        compare(*runner.run(command, printed))


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
    """The cells of all table rows, the lines of dashes included."""
    lines = [line for line in prose(page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code_in(cell: str) -> str:
    found = re.fullmatch(r"`([^`]+)`", cell)
    return found[1] if found else ""


def rows_about(page: str, pattern: str) -> dict[str, list[str]]:
    """The rows whose first cell is of that pattern, by the name in it."""
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
            assert default == "one for each core that it may use"
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
    """The code in the cells of each row; of an error only the first: English has its meaning in troubleshooting.md."""
    found = [row[:1] if re.match(r"\[?(?:`E[A-Z]+`|\*\()", row[0]) else row for row in rows(page)]
    code_in_cells = [[sorted(re.findall(r"`[^`]+`", cell)) for cell in row] for row in found]
    return [list(filter(None, row)) for row in code_in_cells]


def code(page: str) -> list[tuple[str, str]]:
    return [(block.language, block.text) for block in blocks(page)]


@pytest.mark.parametrize(("parts_of", "at_least"), [(headings, 20), (tables, 50), (code, 20)])
def test_both_languages_have_the_same(parts_of: Callable[[str], list[Any]], at_least: int) -> None:
    assert len(parts_of(ENGLISH)) > at_least
    assert parts_of(ENGLISH) == parts_of(SPANISH)
