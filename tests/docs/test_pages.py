"""Test all pages: their links lead somewhere, and the names in the glossary and the architecture exist."""

import ast
import importlib.util
import re
from dataclasses import fields

import pytest
from support.pages import check_links, prose, read
from support.processes import CHECKOUT

from app.cli import main
from app.settings import Settings, variable_of
from app.theeye.jobs import ENDED

ARCHITECTURE, GLOSSARY = "docs/architecture.md", "docs/glossary.md"
WORDS = "agent customer gateway job lifecycle output recipe result state supervisor task workflow"
SETTINGS_OF_0_1 = """bind workers gateway_url supervisor_url redis_url wait_seconds grace_seconds connect_timeout
    call_timeout session_ttl max_waiting history_guard max_body max_job query_token cors_origins proxies plugins
    disabled_formatters log metrics_bind"""

PAGES = sorted(
    str(page.relative_to(CHECKOUT))
    for folder in (".", "docs", "benchmarks", "examples/*")
    for page in CHECKOUT.glob(f"{folder}/*.md")
)


def test_all_pages_are_found() -> None:
    assert {"README.md", ARCHITECTURE, "docs/first-task.md", "benchmarks/README.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    check_links(page)


COMMAND = re.compile(r"(?:^|`)(?:\S+=\S+ )*(?:\S*/)?(make|theeye-sync|python3? -m) ([a-z][\w.-]*)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page: str) -> None:
    """These are the targets of make, the commands of theeye-sync, and the modules that are run."""
    targets = set(re.findall(r"^([\w-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    named = COMMAND.findall(read(page))
    assert {name for kind, name in named if kind == "make"} <= targets
    assert {name for kind, name in named if kind == "theeye-sync"} <= set(main.commands)
    tools = re.findall(r"^    ([\w-]+)", read("setup.cfg"), re.MULTILINE)  # which not everybody has installed
    modules = {name for kind, name in named if kind.startswith("python")} - set(tools)
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_commands_are_found_in_every_form() -> None:
    text = "make run TASKS=x\nSYNC_X=1 make serve\n`.venv/bin/theeye-sync check`, to make it\npython3 -m venv x"
    assert [name for _, name in COMMAND.findall(text)] == ["run", "serve", "check", "venv"]


def test_the_glossary_has_the_dozen_words() -> None:
    rows = dict(re.findall(r"^\| (\w+) \| (.+) \|$", prose(GLOSSARY), re.MULTILINE))
    assert " ".join(list(rows)[1:]) == WORDS
    assert set(re.findall(r"`(\w+)`", rows["lifecycle"].partition("It has ended")[2].partition(".")[0])) == ENDED


def defined_in(file: str) -> set[str]:
    """Return the functions, classes and methods of a file; a method also as `Class.method`."""
    tree = ast.parse((CHECKOUT / file).read_text())
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = {node.name for node in tree.body if isinstance(node, kinds)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return names | {f"{each.name}.{node.name}" for each in classes for node in each.body if isinstance(node, kinds)}


def test_every_function_of_the_architecture_exists() -> None:
    steps = re.findall(r"`([\w.]+)` in `((?:app|formatters)/[\w/]+\.py)`", read(ARCHITECTURE))
    assert len(steps) > 20
    assert [step for step in steps if step[0] not in defined_in(step[1])] == []


def test_every_file_of_the_architecture_exists_and_every_room_is_in_it() -> None:
    text = read(ARCHITECTURE)
    paths = set(re.findall(r"`((?:app|formatters|sandbox|docs|tests|deploy)/[\w./]*)`", text))
    assert [path for path in sorted(paths) if not (CHECKOUT / path).exists()] == []
    rooms = {f"app/{each.name}/" for each in (CHECKOUT / "app").iterdir() if (each / "__init__.py").exists()}
    assert rooms <= paths


def test_upgrading_names_every_setting_that_is_new() -> None:
    known, old = {each.name for each in fields(Settings)}, set(SETTINGS_OF_0_1.split())
    assert old < known
    page = read("docs/upgrading.md")
    assert [variable for variable in map(variable_of, known - old) if f"`{variable}" not in page] == []
