"""The built-in formatters as pure functions: the recorded answers of the original, and anything else a job may hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.formatting import render
from app.api.query import Query
from formatters import Answer, Context, Formatter, RegistrationError, Registry, hookimpl
from formatters.jsontext import dumps, loads, loads_body, loads_document
from formatters.testing import golden_jobs

GOLDEN = golden_jobs()
REGISTRY = Registry()


def answer(job: dict[str, Any], query: str = "") -> tuple[int, bytes]:
    """Status and body, through the same steps as a request."""
    asked = Query(query)
    formatter = REGISTRY.choose(asked.first)
    response = render(formatter, Context(job, asked.first), [])
    return response.status_code, response.data


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_answers_as_the_original_did(case: dict[str, Any]) -> None:
    status, body = answer(case["job"], case["query"])
    assert status == case["status"]
    if "body_is" in case:
        assert json.loads(body) == case["job"]
    elif case["body"] == "":
        assert body == b""
    else:
        assert json.loads(body) == json.loads(case["body"])
        assert repr(json.loads(body)) == repr(json.loads(case["body"])), "the order and the kinds of numbers too"


def test_golden_bodies_are_compact() -> None:
    for case in GOLDEN:
        if case.get("body") and "differs" not in case:
            assert answer(case["job"], case["query"])[1] == case["body"].encode("utf-8", "backslashreplace"), case[
                "name"
            ]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**20, max_value=10**400)
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=("Cs",)), min_size=1)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=20
)
printed = (
    st.text() | values.map(lambda value: json.dumps(value)) | st.sampled_from(["[" * 100_000, "1e999", "9" * 5000])
)
outputs = st.lists(printed | values, max_size=4) | values
states = st.sampled_from(["success", "failure", "canceled", "timeout"]) | st.text() | st.none()
jobs = st.fixed_dictionaries(
    {"id": st.just("j1")},
    optional={"output": outputs, "state": states, "result": values, "lifecycle": st.text(), "extra": values},
)
queries = st.sampled_from(
    ["", "result", "full", "parse", "parse=0", "parse=1", "parse=-1", "parse=9999999999"]
) | st.text(st.characters(max_codepoint=255))


@given(job=jobs, query=queries)
def test_any_job_gets_a_legal_status_and_valid_json(job: dict[str, Any], query: str) -> None:
    document = loads_document(json.dumps(job).encode())  # as it comes from TheEye: NaN is JSON to neither
    status, body = answer(document, query)
    assert 200 <= status <= 599
    if status in (204, 205, 304):
        assert body == b""
    else:
        loads_body(body)


@given(value=values)
def test_what_was_read_is_written_again_the_same(value: Any) -> None:
    read = loads_document(json.dumps(value).encode())
    assert loads_document(dumps(read)) == read


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.0", b"1"),
        ("-0.0", b"0"),
        ("1e3", b"1000"),
        ("1.50", b"1.5"),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("1.2345678901234567e20", b"123456789012345670000"),
        ("1e21", b"1e+21"),
        ("0.00001", b"0.00001"),
        ("-1.5e-6", b"-0.0000015"),
        ("1e-7", b"1e-7"),
        ("1.25e-9", b"1.25e-9"),
        ("1e-10", b"1e-10"),
        ('["1e-05 \\" 1e-05",0.00001]', b'["1e-05 \\" 1e-05",0.00001]'),
        ('"\\ud83d"', b'"\\ud83d"'),
        ('"\\ud83d\\ude00"', '"\U0001f600"'.encode()),
        ('"\\u0001\\u2028\\u007f"', '"\\u0001\u2028\u007f"'.encode()),
        ('{"b":1,"a":2,"b":3}', b'{"b":3,"a":2}'),
    ],
)
def test_json_as_javascript_writes_it(text: str, written: bytes) -> None:
    assert dumps(loads(text)) == written


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "\ufeff1", "1e999", "9" * 5000, "[" * 100_000, "", "{,}", "01"])
def test_what_is_no_readable_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_a_document_with_odd_numbers_is_still_read() -> None:
    document = loads_document(b'{"a":NaN,"b":1e999,"c":' + b"9" * 5000 + b',"d":1.0}')
    assert document == {"a": None, "b": "1e999", "c": "9" * 5000, "d": 1}


def test_precedence_does_not_depend_on_the_order_in_the_query() -> None:
    for query, name in [("parse&full&result", "result"), ("parse&full", "full"), ("x&parse", "parse"), ("x", "output")]:
        assert REGISTRY.choose(Query(query).first).name == name


class Shout(Formatter):
    name = "shout"
    queries = ("shout",)
    precedence = 250

    def format(self, context: Context) -> Answer:
        return Answer(str(context.output).upper(), context.status, "text/plain; charset=utf-8")


class ShoutPlugin:
    @hookimpl
    def register_formatters(self) -> list[Formatter]:
        return [Shout()]


def test_a_plugin_takes_its_place_in_the_order() -> None:
    registry = Registry()
    registry.register(ShoutPlugin())
    assert [formatter.name for formatter in registry] == ["result", "full", "response", "shout", "parse", "output"]
    assert registry.choose({"parse": "", "shout": ""}).name == "shout"


def test_a_taken_name_or_query_is_refused_and_changes_nothing() -> None:
    registry = Registry()
    registry.register(ShoutPlugin())
    with pytest.raises(RegistrationError, match="'shout' is taken"):
        registry.register(ShoutPlugin())
    assert len(list(registry)) == 6


def test_a_disabled_formatter_is_not_there_and_the_default_always_is() -> None:
    registry = Registry(disabled=["parse", "output"])
    assert [formatter.name for formatter in registry] == ["result", "full", "response", "output"]
    assert registry.choose({"parse": ""}).name == "output"


def test_a_plugin_file_is_loaded_and_a_broken_one_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good, broken = tmp_path / "good.py", tmp_path / "broken.py"
    good.write_text(
        "from formatters import Answer, Formatter, hookimpl\n"
        "class F(Formatter):\n"
        "    name = 'good'\n"
        "    queries = ('good',)\n"
        "    def format(self, context):\n"
        "        return Answer('fine', 200)\n"
        "@hookimpl\n"
        "def register_formatters():\n"
        "    return [F()]\n"
    )
    broken.write_text("raise RuntimeError('no')\n")
    registry = Registry(plugins=[str(broken), str(good)])
    assert registry["good"]
    assert f"plugin {broken} is skipped" in caplog.text


@pytest.mark.parametrize(
    "answered",
    [
        Answer("x", 199),
        Answer("x", 600),
        Answer("x", True),
        Answer(object(), 200),
        Answer("x", 200, headers={"X": "a\r\nSet-Cookie: b"}),
        Answer(1, 200, "text/plain"),
        Answer("x", 200, "text/plain\r\nX: y"),
        None,
    ],
)
def test_an_answer_that_http_cannot_carry_is_the_formatters_failure(answered: Any) -> None:
    from app.errors import FormatterFailed

    class Bad(Shout):
        def format(self, context: Context) -> Answer:
            return answered

    with pytest.raises(FormatterFailed):
        render(Bad(), Context({"id": "j1"}), [])
