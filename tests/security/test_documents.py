"""Test docs/security.md: the tests that it names exist, and its statements about the installation are true."""

import ast
import configparser
import inspect
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import Requirement
from support.processes import CHECKOUT, run_python

from app.api.body import BODY_PIECE, BODY_SECONDS
from app.serving.thread_worker import HEAD_SECONDS
from app.theeye.sessions import SESSIONS
from sandbox import Sandbox

PAGE = (CHECKOUT / "docs/security.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
THREATS = [row for row in ROWS if len(row) == 3 and row[0] != "threat" and not row[0].startswith("---")]


def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_each_threat_has_an_answer_and_tests_that_exist() -> None:
    known = {name for path in (CHECKOUT / "tests").rglob("test_*.py") for name in functions_of(path)}
    assert len(THREATS) > 35
    for threat, answer, tests in THREATS:
        assert answer, threat
        named = re.findall(r"`(test_\w+)`", tests)
        assert named, threat
        assert set(named) <= known, threat


def test_each_test_of_security_answers_a_threat() -> None:
    """A test that belongs to no threat is missing on the page; tests of the page itself are left out."""
    paths = (path for path in (CHECKOUT / "tests" / "security").glob("test_*.py") if path.stem != "test_documents")
    for path in paths:
        tests = {name for name in functions_of(path) if name.startswith("test_")}
        assert {name for name in tests if name not in PAGE} == set(), path.name


def test_everything_listens_on_the_loopback_address() -> None:
    ran = run_python("-m", "gunicorn", "--print-config")
    assert re.search(r"^bind\s+= \['127\.0\.0\.1:6090'\]$", ran.stdout, re.MULTILINE), ran.stdout + ran.stderr
    assert inspect.signature(Sandbox).parameters["bind"].default == ("127.0.0.1", 0)
    ran = run_python("-m", "sandbox", "--bind", "0.0.0.0:0", status=2)
    assert "0.0.0.0 is not a loopback address" in ran.stderr


def test_the_limits_are_those_of_the_page() -> None:
    page = " ".join(PAGE.split())
    assert f"each {BODY_PIECE // 1024} KiB of it, and its end, must arrive within {BODY_SECONDS:g} seconds" in page
    assert f"after {HEAD_SECONDS:g} seconds in the threaded worker" in page
    assert f"{SESSIONS:,} sessions".replace(",", " ") in page
    assert re.search(r"^keepalive = 75\b", (CHECKOUT / "app/serving/config.py").read_text(), re.MULTILINE)
    assert "after 75 under gevent" in page


FLAWED = {  # the newest version with a flaw that was published, or that reads requests too loosely
    "flask": "3.1.2",
    "gunicorn": "26.2.0",
    "requests": "2.32.3",
    "gevent": "23.7.0",
    "redis": "4.5.3",
}


def test_lower_bounds_leave_out_what_is_known_to_be_flawed() -> None:
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    extras = parser["options.extras_require"]
    texts = [parser["options"]["install_requires"], extras["redis"], extras["gevent"]]
    needed = {need.name: need for need in map(Requirement, filter(None, "\n".join(texts).split("\n")))}
    for name, version in FLAWED.items():
        assert not needed[name].specifier.contains(version), name


# -- make audit -------------------------------------------------------------------------------------------------


audit = SimpleNamespace(**runpy.run_path(str(CHECKOUT / ".ci" / "audit.py")))
KNOWN = {"name": "flask", "version": "3.1.3", "vulns": []}
SKIPPED = {"name": "flask", "skip_reason": "Dependency not found on PyPI"}
BAD = {"name": "flask", "version": "0.1", "vulns": [{"id": "CVE-1"}]}


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ([KNOWN], 0, "Packages audited: 1; no known vulnerabilities."),
        ([BAD], 1, "Known vulnerabilities:\nflask 0.1: CVE-1"),
        ([SKIPPED], 3, "NOT AUDITED: no database knew any of the 1 packages"),
        ([], 3, "NOT AUDITED: no database knew any of the 1 packages"),
    ],
)
def test_an_audit_is_clean_only_where_everything_was_audited(answers: list[Any], status: int, words: str) -> None:
    found, said = audit.verdict(answers, {"flask": "3.1.3"})
    assert found == status
    assert said.startswith(words)


def test_an_audit_names_what_it_knows_nothing_about() -> None:
    found, said = audit.verdict([KNOWN], {"flask": "3.1.3", "werkzeug": "3.1.9"})
    assert (found, said) == (3, "NOT WHOLLY AUDITED: 1 of 2, nothing is known about werkzeug.")


def test_an_audit_is_about_what_the_service_runs_with() -> None:
    found = audit.closure("theeye-sync", frozenset({"all"}), {})
    needed = {"flask", "werkzeug", "gunicorn", "requests", "urllib3", "pluggy", "redis", "gevent", "greenlet"}
    assert needed <= set(found)
    assert not {"pytest", "hypothesis", "mypy", "ruff", "pip-audit"} & set(found)
