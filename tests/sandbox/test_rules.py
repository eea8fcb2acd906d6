"""Test the sandbox's rules: last line, output, log, command line, recipes."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sandbox import ID, TASK, recipe

from sandbox.command import argument_text, command_line, environment, missing_interpreter
from sandbox.jsontext import MAX_DEPTH, dumps, loads
from sandbox.loading import BUILT_IN, load_recipe, load_recipes
from sandbox.log import Log
from sandbox.outcome import last_line, read_last_line, stored_output, stored_size, stored_state
from sandbox.recipes import BrokenRecipe

RECIPES = Path(__file__).parents[1] / "data" / "recipes"


@pytest.mark.parametrize(
    ("line", "logs"),
    [
        ("", ["", "\n", "one\n\n"]),
        ("one", ["one", "one\n", "one\r\n"]),
        ("two", ["one\ntwo", "one\n  two\t \n", "one\n\ufefftwo\u00a0\n"]),
        ("\x1ctwo", ["one\n\x1ctwo\n"]),
    ],
)
def test_the_last_line(line: str, logs: list[str]) -> None:
    assert {last_line(log) for log in logs} == {line}


LINES: list[tuple[str, str, list[str]]] = [
    # last line, stored state, stored output
    ('{"state":"success","data":{"a":1}}', "success", ['{"a":1}']),
    ('{"state":"failure","data":{"a":1},"output":{"b":2}}', "failure", ['{"b":2}']),
    ('{"state":"success","output":null,"data":[1,"x"]}', "success", ["1", "x"]),
    ('{"a":1}', "success", ['{"a":1}']),
    ("{}", "success", ["{}"]),
    ('{"state":"failure"}', "failure", ['{"state":"failure"}']),
    ('{"state":"Failure","data":1}', "success", ["1"]),
    ('{"state":7,"data":false}', "success", []),
    ('{"state":["failure"],"data":""}', "success", []),
    ('{"data":"[1,\\"x\\",null]"}', "success", ["1", "x", "null"]),
    ('{"data":"{\\"a\\": 1}"}', "success", ['{"a": 1}']),
    ('{"data":"words"}', "success", ["words"]),
    ('[{"a":1},"x",[2]]', "success", ['{"a":1}', "x", "[2]"]),
    ("[]", "success", []),
    ('{"data":0}', "success", []),
    ('{"data":[0,"",null,false]}', "success", ["0", "", "null", "false"]),
    ('{"data":{}}', "success", ["{}"]),
    ('{"state":"canceled","data":{"a":1}}', "canceled", ['{"a":1}']),
    ('"failure"', "failure", ["failure"]),
    ('"words"', "success", ["words"]),
    ("failure", "failure", []),
    *((line, "success", []) for line in ("success", "words", "", "5", "null", '{"data":NaN}')),
    *((line, "success", []) for line in ("[" * 100_000, "[" * 600 + "]" * 600, "[" + "9" * 5000 + "]")),
    ('{"data":{"s":"\\ud83d","ñ":"☕"}}', "success", ['{"s":"\\ud83d","ñ":"☕"}']),
    ('{"data":{"n":1.0,"e":1e3,"i":1e999,"f":1.5}}', "success", ['{"n":1,"e":1000,"i":null,"f":1.5}']),
    ('{"data":"nul\\u0000"}', "success", ["nul\0"]),
]


@pytest.mark.parametrize(("line", "state", "output"), LINES, ids=lambda value: str(value)[:30])
def test_the_last_line_rule(line: str, state: str, output: list[str]) -> None:
    report = read_last_line(line)
    assert (stored_state(report), stored_output(report.output)) == (state, output)
    known = report.state in ("success", "failure", "canceled")
    assert stored_state(report, "failure") == (state if known else "failure")


def test_a_killed_script_reports_that() -> None:
    report = read_last_line('{"state":"success","data":1}', killed=True)
    assert (report.state, report.output) == ("killed", None)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20), st.text())
def test_whatever_is_printed_is_stored_as_strings(value: Any, text: str) -> None:
    for line in (dumps(value), text, dumps({"data": value})):
        stored = stored_output(read_last_line(line).output)
        assert all(isinstance(item, str) for item in stored)


def test_json_is_compact_and_can_be_sent() -> None:
    assert dumps({"a": [1, "ñ", "\ud83d"]}) == '{"a":[1,"ñ","\\ud83d"]}'
    dumps({"a": "\udfff"}).encode()
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert dumps(loads(deep)) == deep


def test_a_log_is_kept_up_to_a_limit_and_counted() -> None:
    log = Log(limit=10)
    for number in range(1000):
        log.add(b"%d\n" % number)
    assert (log.text(), log.size) == ("0\n1\n2\n3\n4\n", 3890)


def test_a_job_holds_what_was_printed_up_to_four_times() -> None:
    line = '{"data":"ñ"}'
    assert (
        stored_size(100, line, {"a": 'ñ"'})
        == 100 + len(line) + 1 + len('{"a":"ñ\\""}') + 1 + len('["{\\"a\\":\\"ñ\\\\\\"\\"}"]') + 1
    )


def test_a_log_that_is_not_utf8() -> None:
    log = Log()
    for piece in (b"\xff\xc3", b"\xb1\n"):
        log.add(piece)
    assert log.text() == "\ufffdñ\n"


def test_the_command_line() -> None:
    path = Path("/tmp/a b/x.js")
    assert command_line("node %script%", path, []) == "node '/tmp/a b/x.js'"
    assert command_line("", path, ["$HOME", "it's", ""]) == "'/tmp/a b/x.js' '$HOME' 'it'\"'\"'s' ''"
    assert command_line("node %script% | cat", Path("x"), ["1"]) == "node x 1 | cat"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, ""), (1.5, "1.5"), (True, "true"), ({"a": [1]}, '{"a":[1]}'), ("\ud83d", "\ufffd")),
        *((text, text) for text in ("x", "data: three words, no URL", "data:text/plain;base64,%%", "data:,x")),
    ],
)
def test_an_argument_as_text(tmp_path: Path, value: Any, text: str) -> None:
    assert argument_text(value, tmp_path) == text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "suffix", "data"),
    [
        ("data:text/plain;base64,aGVsbG8=", ".txt", b"hello"),
        ("data:application/pdf;name=a.pdf;base64,AP8=", ".pdf", b"\x00\xff"),
        ("data:;base64,", "", b""),
    ],
)
def test_a_data_url_is_a_file_of_any_name(tmp_path: Path, url: str, suffix: str, data: bytes) -> None:
    first, second = (Path(argument_text(url, tmp_path)) for _ in range(2))
    assert first != second
    assert (first.parent, first.suffix, first.read_bytes()) == (tmp_path, suffix, data)


@pytest.mark.parametrize(
    ("runas", "missing"),
    [
        *((runas, None) for runas in ("python3 %script%", "LANG=C sh %script%", "cd / && sh %script%", "%script%")),
        *((runas, None) for runas in ("", "'unclosed")),
        *((f"{runas} %script%", "no-such-thing") for runas in ("no-such-thing -x", "/usr/bin/env no-such-thing")),
    ],
)
def test_the_missing_interpreter(runas: str, missing: str | None) -> None:
    assert missing_interpreter(runas, environment({})) == missing


def test_our_tasks_all_load() -> None:
    tasks = load_recipes([BUILT_IN]).tasks
    assert sorted(int(identifier[-2:], 16) for identifier in tasks) == [*range(0x27, 0x2F), *range(0x30, 0x34)]
    assert all(task.description for task in tasks.values())


def test_an_exported_recipe() -> None:
    task = load_recipe(RECIPES / "exported.json")
    assert (task.id, task.name, task.filename) == ("61f3e937c38201da80f96d01", "Exported", "hello.sh")
    assert task.script.startswith(b"echo")
    assert (task.document["autoremove_completed_jobs_limit"], task.history_limit) == (5, 5)


@pytest.mark.parametrize(("limit", "kept"), [(0, 5), (None, 5), (5, 5), (2, 2), (-1, None)])
def test_the_history_limit_is_shown_as_it_was_set(tmp_path: Path, limit: int | None, kept: int | None) -> None:
    task = load_recipe(recipe(tmp_path, ID, "", autoremove_completed_jobs_limit=limit))
    assert (task.document["autoremove_completed_jobs_limit"], task.history_limit) == (limit, kept)


BROKEN = {
    "not_json": "it is not JSON",
    "no_task": 'it has no "task"',
    "no_name": "task.name is missing",
    "wrong_md5": "file.md5 is",
    "wrong_base64": "file.data is not base64",
    "wrong_type": "'approval' is not one of dummy, script",
    "wrong_id": "is not 24 hex digits",
}


@pytest.mark.parametrize(("name", "reason"), BROKEN.items())
def test_a_broken_recipe_says_why(name: str, reason: str) -> None:
    with pytest.raises(BrokenRecipe, match=reason):
        load_recipe(RECIPES / "broken" / f"{name}.json")


def test_broken_recipes_are_skipped_and_named(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "null_byte.json").write_text('{"task": {"name": "x"}, "file": {"filename": "\\u0000"}}')
    with caplog.at_level(logging.WARNING):
        tasks = load_recipes([RECIPES / "broken", RECIPES / "nowhere", tmp_path]).tasks
    identifier = hashlib.sha1(b"Fine among broken ones").hexdigest()[:24]
    assert [(task.id, task.name) for task in tasks.values()] == [(identifier, "Fine among broken ones")]
    for name in [*BROKEN, "no_script", "nowhere", "null_byte"]:
        assert name in caplog.text


WRONG_TYPES: list[dict[str, Any]] = [
    *({"timeout": "soon"}, {"env": []}, {"task_arguments": {}}, {"task_arguments": [1]}, {"source_model_id": 5}),
    *({"script_runas": 1}, {"task_arguments": [{"order": "1"}]}),
]


@pytest.mark.parametrize("task", WRONG_TYPES)
def test_recipes_with_wrong_types(tmp_path: Path, task: dict[str, Any]) -> None:
    with pytest.raises(BrokenRecipe):
        load_recipe(recipe(tmp_path, ID, "", **task))


def test_a_later_recipe_replaces_an_earlier_one(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    recipe(tmp_path, ID, "", name="mine", source_model_id=TASK)
    assert load_recipes([BUILT_IN, tmp_path]).tasks[TASK].name == "mine"
    assert "replaces" in caplog.text
