"""Test that the `Accept` header selects a plugin, unless JSON has an equal quality."""

import pytest

from formatters.accept import preferred

CSV = [
    *("text/csv", "text/csv;header=present", " text/csv ; Q=0.1 ", "text/csv, */*", "text/*", "image/png, text/csv"),
    *("text/csv, application/*", "text/csv, application/json;q=0.9", "application/json;q=0, */*"),
    "text/csv" + ";" * 9000,
]
PNG = [
    *("text/*, text/csv;q=0.2, image/png;q=0.3", "text/*, image/png", "application/json;q=0, */*, image/png"),
    "image/png, text/csv;q=0.9",
]
JSON = [
    *("text/csv;q=0.1, */*", "text/csv, application/json", "text/csv;q=0.8, application/*;q=0.9", "text/csv;q=0"),
    *("text/csv;q=0.000", "text/csv;q=nonsense", "text/csv;q=2", "text/*, application/json", "*/*", "*"),
    *("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", "application/*", "application/json"),
    ",;,;q=1,/",
]


@pytest.mark.parametrize(
    ("accept", "found"),
    [(accept, found) for found, cases in (("text/csv", CSV), ("image/png", PNG), (None, JSON)) for accept in cases],
)
def test_accept(accept: str, found: str | None) -> None:
    assert preferred(accept, ["text/csv", "image/png"]) == found
