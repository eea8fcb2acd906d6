"""The `Accept` header selects a plugin, unless JSON is wanted as much."""

import pytest

from formatters.accept import preferred


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
