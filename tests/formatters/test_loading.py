"""Test that plugins are found, turned off, and skipped if they are broken."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.plugins import GOOD, names

from app import Settings, create_app
from app.cli import listing
from formatters import Registry
from formatters.loading import BUILT_IN

Write = Callable[[str, str], str]
HOOK = "from formatters import hookimpl\n@hookimpl\ndef register_formatters({}): {}"
BROKEN = {
    "raises": ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
    "exits": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "base": ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x"),
    "syntax": ("def (", "SyntaxError: invalid syntax"),
    "imports": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "loops": ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    "no_hook": ("x = 1", "it registers no formatter"),
    "signature": (HOOK.format("config", "return []"), "Argument(s) {'config'} are declared in the hookimpl but"),
    "unknown_hook": (HOOK.format("", "return []").replace("formatters()", "outputs()"), "unknown hook"),
    "returns_none": (HOOK.format("", "pass"), "it registers no formatter"),
    "returns_number": (HOOK.format("", "return 7"), "TypeError: 'int' object is not iterable"),
    "hook_raises": (HOOK.format("", "raise KeyError('x')"), "KeyError: 'x'"),
    "taken": (GOOD.format(name="parse"), "the name 'parse' is taken by another formatter"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_skipped_and_told(name: str, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    code, reason = BROKEN[name]
    broken, good = write(name, code), write("good", GOOD.format(name="good"))
    registry = Registry(plugins=[broken, good])
    assert names(registry) == [*names(Registry()), "good"]
    (failure,) = registry.failures
    assert (failure.name, failure.source) == (name, broken)
    assert reason in failure.reason
    assert "\n" not in failure.reason
    assert f"plugin {broken} is skipped" in caplog.text
    assert "Traceback" in caplog.text
    assert f"not loaded: {name} ({broken}): {failure.reason}" in listing(registry)


def test_what_the_public_is_told_of_a_failure_is_only_its_kind(write: Write) -> None:
    secret, ours = write("secret", "raise RuntimeError('password=hunter2')"), write("ours", GOOD.format(name="parse"))
    registry = Registry(plugins=[secret, ours])
    kinds = [failure.kind for failure in registry.failures]
    assert kinds == ["RuntimeError", "the name 'parse' is taken by another formatter"]


def test_two_files_of_one_name_do_not_mix(write: Write, tmp_path: Path) -> None:
    first = write("same", GOOD.format(name="first"))
    (tmp_path / "other").mkdir()
    second = tmp_path / "other" / "same.py"
    second.write_text("raise AssertionError('it must not even be loaded')")
    registry = Registry(plugins=[first, str(second)])
    assert registry["first"]
    assert [failure.reason for failure in registry.failures] == ["the plugin name 'same' is taken"]


def origin(registry: Registry, name: str = "good") -> tuple[str, str]:
    """Return the plugin of a mode, and its version."""
    [mode] = [mode for mode in registry.modes if mode.name == name]
    return mode.plugin, mode.version


def test_an_installed_package_is_found_by_its_entry_point(package: Callable[..., None]) -> None:
    package("sync_good", GOOD.format(name="good"), "good = sync_good")
    registry = Registry()
    assert registry.choose({"good": ""}).name == "good"
    assert origin(registry) == ("sync-good", "1.2")


def test_one_broken_package_does_not_take_the_others_along(package: Callable[..., None]) -> None:
    package("sync_a", "raise RuntimeError('no')", "a = sync_a")
    package("sync_b", GOOD.format(name="b"), "b = sync_b\nmissing = sync_b:nothing")
    package("sync_c", GOOD.format(name="c"), "c = sync_c\nparse = sync_c")
    registry = Registry()
    assert names(registry)[-2:] == ["b", "c"]
    failures = [(failure.name, failure.source) for failure in registry.failures]
    assert failures == [("a", "sync-a"), ("missing", "sync-b"), ("parse", "sync-c")]


def test_one_broken_installation_does_not_take_the_others_along(package: Callable[..., None], tmp_path: Path) -> None:
    package("sync_a", GOOD.format(name="a"), "no equals sign")
    package("sync_b", GOOD.format(name="b"), "b = sync_b")
    package("sync_c", GOOD.format(name="c"), "c = sync_c")
    (tmp_path / "sync_c-1.2.dist-info" / "METADATA").unlink()
    package("sync_d", "", "d = sync_d")
    (tmp_path / "sync_d-1.2.dist-info" / "entry_points.txt").write_bytes(b"\xff")
    registry = Registry()
    assert names(registry)[-2:] == ["b", "c"]
    assert [failure.name for failure in registry.failures] == ["sync-a"]


@pytest.mark.parametrize("disabled", ["bad", "sync-bad"])
def test_a_disabled_package_is_not_even_imported(disabled: str, package: Callable[..., None]) -> None:
    package("sync_bad", "raise RuntimeError('imported')", "bad = sync_bad")
    assert Registry([disabled]).failures == ()
    assert "sync_bad" not in sys.modules
    assert len(Registry().failures) == 1


def test_a_disabled_file_is_not_even_loaded(write: Write) -> None:
    file = write("bad", "raise RuntimeError('imported')")
    assert Registry(["bad"], [file]).failures == ()
    assert len(Registry([], [file]).failures) == 1


def test_a_formatter_of_another_name_than_its_plugin_is_turned_off_too(write: Write) -> None:
    file = write("tables", GOOD.format(name="good"))
    registry = Registry(["good"], [file])
    assert "good" not in names(registry)
    assert registry.failures == ()


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "output"])
def test_a_built_in_can_be_turned_off_and_replaced(name: str, write: Write) -> None:
    registry = Registry([name])
    assert name not in names(registry)
    assert name not in registry.queries
    assert registry.choose({name: ""}).name == "output"
    own = write("own", GOOD.format(name="own").replace("('own',)", f"({name!r},)"))
    assert Registry([name], [own]).choose({name: ""}).name == "own"


def test_the_default_cannot_be_turned_off() -> None:
    assert Registry(["output"]).choose({}).name == "output"


def test_a_module_can_be_named(package: Callable[..., None]) -> None:
    package("sync_module", GOOD.format(name="good"), "")
    registry = Registry(plugins=["sync_module"])
    assert origin(registry) == ("sync_module", "3.2.1")


def test_the_listing(package: Callable[..., None], write: Write) -> None:
    package("sync_good", GOOD.format(name="good"), "good = sync_good")
    lines = listing(Registry(["full"], [write("broken", "import nothing_here")])).splitlines()
    assert lines[0].split() == ["MODE", "PRECEDENCE", "SELECTED", "BY", "PLUGIN", "VERSION"]
    assert [line.split()[0] for line in lines[1:-1]] == ["result", "response", "parse", "output", "good"]
    assert lines[5].split() == ["good", "50", "?good", "sync-good", "1.2"]
    assert lines[3].split()[:5] == ["parse", "200", "?parse", "built", "in"]
    assert lines[-1].endswith("ModuleNotFoundError: No module named 'nothing_here'")
    assert lines[-1].startswith("not loaded: broken (")


def test_the_command_lists_the_formatters_of_the_app() -> None:
    app = create_app(Settings(disabled_formatters=("parse",)))
    output = app.test_cli_runner().invoke(args=["formatters"]).output
    assert "?response" in output
    assert "?parse" not in output


def test_a_reason_cannot_play_with_the_terminal(write: Write) -> None:
    (failure,) = Registry(plugins=[write("odd", "raise ValueError('\\x1b[2J\\r\\nx')")]).failures
    assert failure.reason == "ValueError: ?[2J x"
