"""Test that `make drills` writes its figures into the tables of docs/reliability.md."""

from faults.page import renewed
from support.load import Row

PAGE = """Measured with `make drills` long ago.

| fault | gevent | gthread | why the answer comes |
|---|---:|---:|---|
| Redis killed | 1/2 · 3.00 s | 4/5 · 6.00 s | polling |

| what | both at once | why the answer comes |
|---|---:|---|
| 20 requests | 1/20 · 0.30 s | one create |
"""
ROWS = [
    Row("redis killed", "gthread", 20, 19, 0.254),
    Row("redis killed", "gevent", 5, 5, 12),
    Row("redis killed", "gevent", 5, 5, 1),
    Row("20 requests", "both", 20, 20, 0.3),
]


def test_the_figures_of_a_run_replace_those_of_the_page() -> None:
    page, unmatched = renewed(PAGE, ROWS, "today")
    assert page == PAGE.replace("long ago", "today").replace("1/20 ", "20/20 ").replace(
        "| Redis killed | 1/2 · 3.00 s | 4/5 · 6.00 s |", "| Redis killed | 10/10 · 12.00 s | 19/20 · 0.25 s |"
    )
    assert unmatched == []


def test_a_fault_that_only_the_page_or_only_the_run_has_is_named() -> None:
    assert renewed(PAGE, [Row("A flood", "both", 1, 1, 1), *ROWS[:3]], "today")[1] == ["20 requests", "a flood"]
