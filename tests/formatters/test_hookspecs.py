"""Test that every hook and every built-in mode has a test."""

import ast
from pathlib import Path

from support.plugins import Plugin, Shout, with_attributes

import formatters
from formatters import Registry, hookspecs
from formatters.loading import BUILT_IN

TESTS = Path(__file__).parent


def test_every_hook_and_every_built_in_has_a_test() -> None:
    functions = {
        node.name
        for file in TESTS.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    marker = f"{hookspecs.PROJECT_NAME}_spec"
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, marker)]
    assert hooks == ["register_formatters"]
    files = {
        file.stem
        for file in (Path(formatters.__file__).parent / "modes").glob("*.py")
        if "@hookimpl\n" in file.read_text()
    }
    assert files == set(BUILT_IN)
    for name in [*(f"test_hook_{hook}" for hook in hooks), *(f"test_built_in_{name}" for name in BUILT_IN)]:
        assert name in functions, f"there is no {name}"


def test_hook_register_formatters() -> None:
    registry = Registry()
    registry.register(Plugin(Shout(), with_attributes()))
    assert registry["shout"]
    assert registry["other"]
