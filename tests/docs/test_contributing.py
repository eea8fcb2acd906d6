"""Test CONTRIBUTING.md: its example tests run, and the names in it exist."""

import re

from support.pages import blocks, prose
from support.processes import CHECKOUT

PAGE = "CONTRIBUTING.md"

for block in blocks(PAGE):
    if block.language == "python":
        exec(compile(block.text, PAGE, "exec"), globals())


def test_its_examples_are_here() -> None:
    assert {"test_a_refusal", "test_a_stop"} <= globals().keys()


def test_every_file_that_it_names_is_there() -> None:
    paths = set(re.findall(r"`([\w./]+(?:\.(?:py|md|yaml|cfg)|/))`", prose(PAGE)))
    assert len(paths) > 15
    assert {path for path in paths if "x.py" not in path and not (CHECKOUT / path).exists()} == set()


def test_the_one_test_that_it_runs_is_there() -> None:
    [(path, name)] = re.findall(r"pytest (\S+) -k (\w+)", (CHECKOUT / PAGE).read_text())
    assert len(re.findall(rf"def test_\w*{name}", (CHECKOUT / path).read_text())) == 1
