"""Read the commands of a page and the answers below them, and compare these with real answers."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from app.api.responses import etag
from support.pages import Block, blocks
from support.processes import clean_environment

EXAMPLES = {"README.md": 2, "docs/README.es.md": 1, "docs/api.md": 20, "docs/api.es.md": 20}  # at least

LIVE = [  # what differs from run to run, with what stands for it
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<moment>"),
    (r'"times":\{"seconds":\d+,"nanoseconds":\d+\}', '"times":<times>'),
    (r'"node_hostname":"[^"]+"', '"node_hostname":<name>'),
    (r"dur=\d+\.\d\b", "dur=<ms>"),
    (r'"theeye_version":"[^"]+"', '"theeye_version":<version>'),
    (r'"age":\d+\.\d', '"age":<seconds>'),
    (r"\b\d+ s ago\b", "<seconds> s ago"),
    (r',"expected_seconds":[\d.]+', ""),  # known or not
    (r'"load_average":\[\d+\.\d+,\d+\.\d+,\d+\.\d+\]', '"load_average":<load>'),
]


@dataclass(frozen=True)
class Answer:
    """Hold a response, as printed by curl or in a document."""

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
    """Return each command with the answer below it; one that only sets JOB has none."""
    found = []
    for block, following in pairwise([*blocks(page), Block("", "", "the end")]):
        if block.text.startswith("JOB=$("):
            found.append((block.text, ""))
        elif block.language == "sh" and "curl " in block.text:
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
    """Compare status line, printed headers in order, and body; compare values that change by their form."""
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
    """Run a page's commands unchanged, in order, as in one terminal: `JOB` keeps its value.

    Replace the job ids in the page by those of this run.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._environment = clean_environment() | {"CURL_HOME": str(home), "no_proxy": "*"}
        self._ids: dict[str, str] = {}

    def run(self, command: str, printed: str) -> tuple[Answer, Answer]:
        got = Answer.read(self.output(command))
        known, job_id = Answer.read(printed).header("X-Job-Id"), got.header("X-Job-Id")
        if known and job_id:
            self._ids.setdefault(known, job_id)
        for shown, real in self._ids.items():
            printed = printed.replace(shown, real)
        return Answer.read(printed), got

    def output(self, command: str) -> str:
        kept = self._home / "JOB"
        script = f'{command}\nprintf %s "${{JOB-}}" > "$CURL_HOME/JOB"\n'
        ran = subprocess.run(["sh", "-c", script], env=self._environment, capture_output=True, timeout=30)
        assert ran.returncode == 0, ran.stderr.decode()
        self._environment["JOB"] = kept.read_text()
        return ran.stdout.decode()
