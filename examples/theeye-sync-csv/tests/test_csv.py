"""The csv mode against the service's own rules, Python's csv reader, and formulas."""

import csv
import io
import json
from typing import Any

import pytest
from theeye_sync_csv import Csv, cell

from formatters import BadOutput, BadQuery
from formatters.testing import run, try_all


def lines(*output: Any, query: str = "csv") -> list[str]:
    """Return the lines of the answer to these outputs."""
    return run(Csv(), {"output": list(output)}, query).text.split("\r\n")


def test_objects_become_lines_under_their_names() -> None:
    """Also objects that do not all have the same names."""
    assert lines('{"a":1,"b":"x"}', '{"b":null,"c":true}') == ["a,b,c", "1,x,", ",,true", ""]


def test_lists_are_lines() -> None:
    """In one output or in several."""
    assert lines('[["a","b"],[1.0,[2]]]') == ["a,b", "1,[2]", ""]
    assert lines('["a"]', '["b"]') == ["a", "b", ""]


def test_the_answer_is_a_file() -> None:
    """With a name, a type, and the job's status."""
    answer = run(Csv(), {"state": "failure", "output": ['{"a":1}']}, accept="text/csv")
    assert (answer.status, answer.content_type) == (500, "text/csv; charset=utf-8")
    name = "rest-api-response-61f42186c38201da80f9a001.csv"
    assert answer.header("content-disposition") == f'attachment; filename="{name}"'


@pytest.mark.parametrize("text", ['a"b', "a,b", "a;b", "a\tb", "a\nb", "a\r\nb", " a ", "", "señal ☕"])
@pytest.mark.parametrize(("query", "delimiter"), [("csv", ","), ("csv=semicolon", ";"), ("csv=tab", "\t")])
def test_any_text_can_be_read_again(text: str, query: str, delimiter: str) -> None:
    """By a reader of RFC 4180, whatever the separator."""
    body = run(Csv(), {"output": [json.dumps([text, text]), json.dumps([text])]}, query).text
    assert list(csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)) == [[text, text], [text]]


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "\n=1", "＝1", "-"])
def test_a_formula_is_only_text(text: str) -> None:
    """Also in a name of a column."""
    assert cell(text).strip('"').startswith("'")
    assert run(Csv(), {"output": [json.dumps({text: 1})]}, "csv").text.strip('"').startswith("'")


@pytest.mark.parametrize("text", ["-5", "+4930123", "-1.5", "1e-3"])
def test_a_number_is_no_formula(text: str) -> None:
    """It stays as it is."""
    assert cell(text) == text


@pytest.mark.parametrize("output", [["plain"], "text", None, [1], ['{"a":1}', "[1]"], ["[[1],2]", "x"]])
def test_what_is_no_table_is_refused(output: Any) -> None:
    """In words for the client."""
    with pytest.raises(BadOutput, match="not a table"):
        run(Csv(), {"output": output}, "csv")


def test_a_table_of_empty_cells_is_refused() -> None:
    """A name of its own in each row makes a table that grows with the square of the output."""
    with pytest.raises(BadOutput, match="almost empty"):
        run(Csv(), {"output": [json.dumps([{str(number): 1} for number in range(1000)])]}, "csv")


def test_an_unknown_separator_is_refused_before_the_job() -> None:
    """The service answers 400."""
    with pytest.raises(BadQuery):
        run(Csv(), {}, "csv=pipe")


def test_no_job_breaks_it() -> None:
    """Nothing but answers and refusals."""
    try_all(Csv(), "csv")
