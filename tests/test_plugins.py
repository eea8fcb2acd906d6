"""Plugins in one process: what they may declare, how they are found, turned off, skipped and listed."""

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import formatters
from app.api.formatting import choose, render
from app.api.query import NOT_THE_CALLERS, OURS, Query
from app.cli import listing
from app.errors import BadRequest, FormatterFailed
from formatters import Answer, BadQuery, Context, Formatter, RegistrationError, Registry, hookimpl, hookspecs
from formatters.accept import preferred
from formatters.loading import BUILT_IN
from formatters.testing import USUAL, golden_jobs, run, sample_jobs, try_all

TESTS = Path(__file__).parent


class Shout(Formatter):
    name = "shout"
    queries = ("shout", "loud")
    media_types = ("text/shout",)
    precedence = 220

    def check(self, query: Mapping[str, str]) -> None:
        if query.get("shout", "") not in ("", "twice"):
            raise BadQuery("shout can only be twice")

    def format(self, context: Context) -> Answer:
        return Answer(str(context.output).upper(), context.status, "text/plain")


class Plugin:
    """A plugin of whatever is given."""

    def __init__(self, *given: Any) -> None:
        self.given = given

    @hookimpl
    def register_formatters(self) -> Any:
        return self.given


def with_attributes(**attributes: Any) -> Formatter:
    """A Shout that declares something else."""
    kind: type[Formatter] = type(
        "Other", (Shout,), {"queries": ("other",), "media_types": (), "name": "other"} | attributes
    )
    return kind()


def names(registry: Registry) -> list[str]:
    return [formatter.name for formatter in registry]


# -- every hook and every built-in has its test -----------------------------------------------------------


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


JOB = {"state": "failure", "output": ['{"a":1,"statusCode":404}', "x"], "result": {"code": 1}}


def test_built_in_output() -> None:
    answer = run(Registry()["output"], JOB)
    assert (answer.status, answer.json()) == (500, JOB["output"])


def test_built_in_parse() -> None:
    answer = run(Registry()["parse"], JOB, "parse")
    assert (answer.status, answer.json()) == (404, {"a": 1, "statusCode": 404})


def test_built_in_response() -> None:
    answer = run(
        Registry()["response"], {"output": ['{"body":"<p>","headers":{"Content-Type":"text/html"}}']}, "response"
    )
    assert (answer.status, answer.content_type, answer.text) == (200, "text/html; charset=utf-8", "<p>")


def test_built_in_full() -> None:
    answer = run(Registry()["full"], JOB, "full")
    assert answer.status == 500
    assert answer.json()["result"] == {"code": 1}
    assert answer.json()["lifecycle"] == "finished"


def test_built_in_result() -> None:
    answer = run(Registry()["result"], JOB, "result")
    assert (answer.status, answer.json()) == (500, {"code": 1})


def test_the_built_ins_hold_their_precedence() -> None:
    held = [(formatter.name, formatter.precedence) for formatter in Registry()]
    assert held == [("result", 400), ("full", 300), ("response", 250), ("parse", 200), ("output", 100)]


# -- choosing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precedence", "order"),
    [
        (500, ["other", "result", "full", "response", "parse", "output"]),
        (399.5, ["result", "other", "full", "response", "parse", "output"]),
        (200, ["result", "full", "response", "parse", "other", "output"]),
        (-1, ["result", "full", "response", "parse", "output", "other"]),
    ],
)
def test_a_plugin_stands_before_between_or_after_the_built_ins(precedence: float, order: list[str]) -> None:
    registry = Registry()
    registry.register(Plugin(with_attributes(precedence=precedence)))
    assert names(registry) == order
    everything = {"result": "", "full": "", "response": "", "parse": "", "other": ""}
    assert registry.choose(everything).name == order[0]
    assert registry.choose({"other": ""}).name == "other"


@pytest.mark.parametrize(
    ("query", "accept", "name"),
    [
        ("", "", "output"),
        ("loud", "", "shout"),
        ("", "text/shout", "shout"),
        ("", "TEXT/Shout", "shout"),
        ("", "*/*", "output"),
        ("", "application/json", "output"),
        ("parse", "text/shout", "parse"),
        ("", "text/html, text/shout;q=0.5", "shout"),
        ("", "application/json, text/plain, */*", "output"),
    ],
)
def test_query_names_win_over_accept(query: str, accept: str, name: str) -> None:
    registry = Registry()
    registry.register(Plugin(Shout()))
    assert registry.choose(Query(query).first, accept).name == name


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("text/csv", "text/csv"),
        ("text/csv;header=present", "text/csv"),
        (" text/csv ; Q=0.1 ", "text/csv"),
        ("text/csv, */*", "text/csv"),
        ("text/csv;q=0.1, */*", None),
        ("text/csv, application/json", None),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("text/csv;q=0.8, application/*;q=0.9", None),
        ("text/csv;q=0", None),
        ("text/csv;q=0.000", None),
        ("text/csv;q=nonsense", None),
        ("text/csv;q=2", None),
        ("text/*", "text/csv"),
        ("text/*, text/csv;q=0.2, image/png;q=0.3", "image/png"),
        ("text/*, image/png", "image/png"),
        ("text/csv, application/*", "text/csv"),
        ("text/*, application/json", None),
        ("application/json;q=0, */*", "text/csv"),
        ("application/json;q=0, */*, image/png", "image/png"),
        ("image/png, text/csv", "text/csv"),
        ("image/png, text/csv;q=0.9", "image/png"),
        ("*/*", None),
        ("*", None),
        ("application/*", None),
        ("application/json", None),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", None),
        (",;,;q=1,/", None),
        ("text/csv" + ";" * 9000, "text/csv"),
    ],
)
def test_accept(accept: str, found: str | None) -> None:
    assert preferred(accept, ["text/csv", "image/png"]) == found


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
    assert failed.value.body() == {
        "message": "The formatter 'other' failed",
        "statusCode": 502,
        "name": "ServerError",
        "code": "EFORMATTER",
        "status": 502,
        "formatter": "other",
    }
    assert "Traceback" in caplog.text


# -- what cannot be declared ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Shout, "Shout is a class: register an object of it"),
        ("shout", "str is not a Formatter"),
        (None, "NoneType is not a Formatter"),
        (with_attributes(name=""), "the name of Other cannot be ''"),
        (with_attributes(name="a b"), "the name of Other cannot be 'a b'"),
        (with_attributes(name="a\r\nb"), "the name of Other cannot be"),
        (with_attributes(name=7), "the name of Other cannot be 7"),
        (with_attributes(name="x" * 100), "the name of Other cannot be"),
        (with_attributes(queries="csv"), "it must stand in a tuple, not in str"),
        (with_attributes(queries=None), "it must stand in a tuple"),
        (with_attributes(queries=("a&b",)), "a query name of 'other' cannot be 'a&b'"),
        (with_attributes(queries=("a[]",)), "a query name of 'other' cannot be"),
        (with_attributes(queries=(1,)), "a query name of 'other' cannot be 1"),
        (with_attributes(queries=("x", "x")), "the query 'x' is taken"),
        (with_attributes(queries=()), "nothing selects 'other'"),
        (with_attributes(media_types=("*/*",)), "a media type of 'other' cannot be"),
        (with_attributes(media_types=("text/*",)), "a media type of 'other' cannot be"),
        (with_attributes(media_types=("text/CSV",)), "a media type of 'other' cannot be"),
        (with_attributes(media_types=("text/csv; a=b",)), "a media type of 'other' cannot be"),
        (with_attributes(media_types=("application/json",)), "what the service answers anyway"),
        (with_attributes(precedence="high"), "the precedence of 'other' is not a number"),
        (with_attributes(precedence=True), "the precedence of 'other' is not a number"),
        (with_attributes(precedence=float("nan")), "the precedence of 'other' is not a number"),
        (with_attributes(name="parse"), "the name 'parse' is taken"),
        (with_attributes(name="output"), "the name 'output' is taken"),
        (with_attributes(queries=("full",)), "the query 'full' is taken"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(given: Any, words: str) -> None:
    registry = Registry()
    before = registry.modes
    with pytest.raises(RegistrationError, match=words.replace("[", r"\[")):
        registry.register(Plugin(with_attributes(name="fine", queries=("fine",)), given))
    assert registry.modes == before, "the whole plugin is refused"
    registry.register(Plugin(with_attributes(name="fine", queries=("fine",))))
    assert registry["fine"], "and is forgotten: what it would have taken is free"


@pytest.mark.parametrize("reserved", sorted(formatters.RESERVED))
def test_the_services_own_query_names_are_refused(reserved: str) -> None:
    with pytest.raises(RegistrationError, match="the service's own"):
        Registry().register(Plugin(with_attributes(queries=(reserved,))))


def test_all_of_the_services_query_names_are_reserved() -> None:
    assert formatters.RESERVED >= OURS | NOT_THE_CALLERS


def test_a_media_type_is_taken_only_once() -> None:
    registry = Registry()
    registry.register(Plugin(Shout()))
    with pytest.raises(RegistrationError, match="the media type 'text/shout' is taken"):
        registry.register(Plugin(with_attributes(media_types=("text/shout",))))


def test_a_plugin_can_come_after_one_that_was_refused_by_name() -> None:
    registry = Registry()
    registry.register(Plugin(Shout()), "mine")
    with pytest.raises(RegistrationError, match="the plugin name 'mine' is taken"):
        registry.register(Plugin(with_attributes()), "mine")
    assert "other" not in names(registry)


# -- finding, skipping and turning off --------------------------------------------------------------------

GOOD = """
from formatters import Answer, Formatter, hookimpl
__version__ = "3.2.1"
class Good(Formatter):
    name = {name!r}
    queries = ({name!r},)
    precedence = 50
    def format(self, context):
        return Answer("fine", 200)
@hookimpl
def register_formatters():
    return [Good()]
"""
BROKEN = {
    "raises": ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
    "exits": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "base": ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x"),
    "syntax": ("def (", "SyntaxError: invalid syntax"),
    "imports": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "loops": ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    "no_hook": ("x = 1", "it registers no formatter"),
    "signature": (
        "from formatters import hookimpl\n@hookimpl\ndef register_formatters(config): return []",
        "Argument(s) {'config'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "unknown_hook": ("from formatters import hookimpl\n@hookimpl\ndef register_outputs(): return []", "unknown hook"),
    "returns_none": (
        "from formatters import hookimpl\n@hookimpl\ndef register_formatters(): pass",
        "it registers no formatter",
    ),
    "returns_number": (
        "from formatters import hookimpl\n@hookimpl\ndef register_formatters(): return 7",
        "TypeError: 'int' object is not iterable",
    ),
    "hook_raises": (
        "from formatters import hookimpl\n@hookimpl\ndef register_formatters(): raise KeyError('x')",
        "KeyError: 'x'",
    ),
    "taken": (GOOD.format(name="parse"), "the name 'parse' is taken by another formatter"),
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    def written(name: str, code: str) -> str:
        file = tmp_path / f"{name}.py"
        file.write_text(code)
        return str(file)

    return written


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_skipped_and_told(
    name: str, write: Callable[[str, str], str], caplog: pytest.LogCaptureFixture
) -> None:
    code, reason = BROKEN[name]
    broken, good = write(name, code), write("good", GOOD.format(name="good"))
    registry = Registry(plugins=[broken, good])
    assert names(registry) == ["result", "full", "response", "parse", "output", "good"]
    (failure,) = registry.failures
    assert (failure.name, failure.source) == (name, broken)
    assert reason in failure.reason
    assert "\n" not in failure.reason
    assert f"plugin {broken} is skipped" in caplog.text
    assert "Traceback" in caplog.text
    assert f"not loaded: {name} ({broken}): {failure.reason}" in listing(registry)


def test_what_the_public_is_told_of_a_failure_is_only_its_kind(write: Callable[[str, str], str]) -> None:
    secret, ours = write("secret", "raise RuntimeError('password=hunter2')"), write("ours", GOOD.format(name="parse"))
    registry = Registry(plugins=[secret, ours])
    kinds = [failure.kind for failure in registry.failures]
    assert kinds == ["RuntimeError", "the name 'parse' is taken by another formatter"]


def test_two_files_of_one_name_do_not_mix(write: Callable[[str, str], str], tmp_path: Path) -> None:
    first = write("same", GOOD.format(name="first"))
    (tmp_path / "other").mkdir()
    second = tmp_path / "other" / "same.py"
    second.write_text("raise AssertionError('it must not even be loaded')")
    registry = Registry(plugins=[first, str(second)])
    assert registry["first"]
    assert [failure.reason for failure in registry.failures] == ["the plugin name 'same' is taken"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs packages, each a module with entry points, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def install(module: str, code: str, points: str) -> None:
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[theeye_sync]\n{points}\n")
        modules.append(module)

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def test_an_installed_package_is_found_by_its_entry_point(package: Callable[..., None]) -> None:
    package("sync_good", GOOD.format(name="good"), "good = sync_good")
    registry = Registry()
    assert registry.choose({"good": ""}).name == "good"
    mode = next(mode for mode in registry.modes if mode.name == "good")
    assert (mode.plugin, mode.version) == ("sync-good", "1.2")


def test_one_broken_package_does_not_take_the_others_along(package: Callable[..., None]) -> None:
    package("sync_a", "raise RuntimeError('no')", "a = sync_a")
    package("sync_b", GOOD.format(name="b"), "b = sync_b\nmissing = sync_b:nothing")
    package("sync_c", GOOD.format(name="c"), "c = sync_c\nparse = sync_c")
    registry = Registry()
    assert names(registry)[-2:] == ["b", "c"]
    assert [(failure.name, failure.source) for failure in registry.failures] == [
        ("a", "sync-a"),
        ("missing", "sync-b"),
        ("parse", "sync-c"),
    ]


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


def test_a_disabled_file_is_not_even_loaded(write: Callable[[str, str], str]) -> None:
    file = write("bad", "raise RuntimeError('imported')")
    assert Registry(["bad"], [file]).failures == ()
    assert len(Registry([], [file]).failures) == 1


def test_a_formatter_of_another_name_than_its_plugin_is_turned_off_too(write: Callable[[str, str], str]) -> None:
    file = write("tables", GOOD.format(name="good"))
    registry = Registry(["good"], [file])
    assert "good" not in names(registry)
    assert registry.failures == ()


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "output"])
def test_a_built_in_can_be_turned_off_and_replaced(name: str, write: Callable[[str, str], str]) -> None:
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
    mode = next(mode for mode in registry.modes if mode.name == "good")
    assert (mode.plugin, mode.version) == ("sync_module", "3.2.1")


def test_the_listing(package: Callable[..., None], write: Callable[[str, str], str]) -> None:
    package("sync_good", GOOD.format(name="good"), "good = sync_good")
    lines = listing(Registry(["full"], [write("broken", "import nothing_here")])).splitlines()
    assert lines[0].split() == ["MODE", "PRECEDENCE", "SELECTED", "BY", "PLUGIN", "VERSION"]
    assert [line.split()[0] for line in lines[1:-1]] == ["result", "response", "parse", "output", "good"]
    assert lines[5].split() == ["good", "50", "?good", "sync-good", "1.2"]
    assert lines[3].split()[:5] == ["parse", "200", "?parse", "built", "in"]
    assert lines[-1].endswith("ModuleNotFoundError: No module named 'nothing_here'")
    assert lines[-1].startswith("not loaded: broken (")


def test_the_command_lists_the_formatters_of_the_app() -> None:
    from app import Settings, create_app

    app = create_app(Settings(disabled_formatters=("parse",)))
    output = app.test_cli_runner().invoke(args=["formatters"]).output
    assert "?response" in output
    assert "?parse" not in output


def test_a_reason_cannot_play_with_the_terminal(write: Callable[[str, str], str]) -> None:
    (failure,) = Registry(plugins=[write("odd", "raise ValueError('\\x1b[2J\\r\\nx')")]).failures
    assert failure.reason == "ValueError: ?[2J x"


# -- the test helper --------------------------------------------------------------------------------------


def test_run_goes_through_choice_check_format_and_the_services_rules() -> None:
    job = {"output": ["x"]}
    assert run(Shout(), job, "loud").text == "['X']"
    assert run(Shout(), job, accept="text/shout").content_type == "text/plain; charset=utf-8"
    with pytest.raises(AssertionError, match="the mode 'output' is chosen, not 'shout'"):
        run(Shout(), job)
    with pytest.raises(AssertionError, match="the mode 'full' is chosen"):
        run(Shout(), job, "shout&full")
    with pytest.raises(BadQuery):
        run(Shout(), job, "shout=thrice")
    with pytest.raises(RegistrationError):
        run(with_attributes(queries=("wait",)), job, "wait")
    with pytest.raises(formatters.BadAnswer):
        run(with_attributes(format=lambda self, context: None), job, "other")


@pytest.mark.parametrize("case", golden_jobs(), ids=lambda case: case["name"])
def test_run_answers_as_the_service_does(case: dict[str, Any]) -> None:
    registry = Registry()
    asked = Query(case["query"]).first
    formatter = registry.choose(asked)
    served = render(formatter, Context({**USUAL, **case["job"]}, asked), [])
    helped = run(formatter, case["job"], case["query"])
    assert served.status_code == helped.status == case["status"]
    if helped.status not in (204, 205, 304):
        assert (served.data, served.headers["Content-Type"]) == (helped.body, helped.content_type)


def test_try_all_goes_through_every_sample_job() -> None:
    found = try_all(Registry()["parse"], "parse")
    assert found.keys() == sample_jobs().keys()
    assert {case["name"] for case in golden_jobs()} < found.keys()


def test_try_all_finds_what_raises_and_what_changes_the_job() -> None:
    def change(self: Formatter, context: Context) -> Answer:
        if isinstance(context.output, list):
            context.output.append(1)
        return Answer(None, 200)

    with pytest.raises(AssertionError, match="other changes the job"):
        try_all(with_attributes(format=change), "other")
    with pytest.raises(ZeroDivisionError):
        try_all(with_attributes(format=lambda self, context: 1 / 0), "other")


def test_what_an_author_needs_is_in_one_place() -> None:
    assert sorted(formatters.__all__) == [
        "Answer",
        "BadAnswer",
        "BadOutput",
        "BadQuery",
        "Context",
        "Failure",
        "Formatter",
        "FormatterError",
        "Mode",
        "PROJECT_NAME",
        "RESERVED",
        "RegistrationError",
        "Registry",
        "Rendered",
        "dumps",
        "hookimpl",
        "loads",
        "rendered",
    ]
