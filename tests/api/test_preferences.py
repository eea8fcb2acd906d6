"""How long a caller wants to wait: `?wait`, `Prefer` and `on_disconnect`."""

import time

import pytest

from app.api.preferences import Budget, cancels_on_disconnect, read_budget
from app.api.query import Query
from app.errors import BadRequest


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("WAIT=5", 5),
        (" wait = 5 ", 5),
        ("wait=0", 0),
        ("wait=007", 7),
        ('wait="5"', 5),
        ("wait=5; x=y", 5),
        ("wait=5;", 5),
        ('wait=5; x="a, wait=1"', 5),
        ("return=minimal, wait=5", 5),
        ("return=minimal,,wait=5,", 5),
        ("respond-async, wait=5, handling=lenient", 5),
        ('foo="a, b", wait=5', 5),
        ('foo="", wait=5', 5),
        ("wait=5, wait=1", 5),
        ("Wait=5, wAIT=1", 5),
        ("foo; wait=1, wait=5", 5),
        ("foo\t=\tbar\t,\twait=5", 5),
        ('foo; p="a, wait=1", wait=5', 5),
        (r'foo="a\", wait=1", wait=5', 5),
        pytest.param(r'foo; p="\\", wait=5', 5, id="escaped backslash"),
    ],
)
def test_the_header_names_the_seconds(prefer: str, seconds: float) -> None:
    found = read_budget(Query(""), prefer, 60)
    assert (found.seconds, found.waits_by_header) == (seconds, True)


@pytest.mark.parametrize(
    "prefer",
    [
        None,
        "",
        " ",
        ",",
        "wait",
        "wait=",
        'wait=""',
        "wait=x",
        "wait=-1",
        "wait=+1",
        "wait=1.5",
        "wait=1e3",
        "wait=٣",
        "wait=1234567890",
        "wait=x, wait=5",
        "waiting=5",
        "x-wait=5",
        "return; wait=5",
        'foo="wait=5"',
        'foo="a, wait=5"',
        "=5",
        '"wait=5"',
        "@wait=5",
        "wait=5 6",
    ],
)
def test_nonsense_in_the_header_is_ignored(prefer: str | None) -> None:
    assert read_budget(Query(""), prefer, 60) == Budget(60)


def test_a_hostile_header_costs_no_time() -> None:
    began = time.thread_time()
    assert read_budget(Query(""), ",".join(["," + " " * 8000] * 10), 60) == Budget(60)
    assert time.thread_time() - began < 0.25


@pytest.mark.parametrize(
    "prefer", ["wait=" * 20_000, 'x="' * 20_000, "x=" + " " * 20_000, "x;" * 20_000, '"' * 20_001, "\\" * 20_000]
)
def test_a_long_header_costs_no_time(prefer: str) -> None:
    began = time.thread_time()
    read_budget(Query(""), prefer, 60)
    assert time.thread_time() - began < 0.25


@pytest.mark.parametrize(
    ("query", "seconds"),
    [("", 60), ("wait=5", 5), ("wait=0", 0), ("wait=0.25", 0.25), ("wait=100", 60), ("wait=5&wait=x", 5), ("a=1", 60)],
)
def test_the_query_names_the_seconds(query: str, seconds: float) -> None:
    assert read_budget(Query(query), None, 60) == Budget(seconds)


@pytest.mark.parametrize(
    "wait", ["", "x", "-1", "+1", "1e3", ".5", "1.", "1.2345", "1_0", "%201", "nan", "inf", "1234567890", "%D9%A3"]
)
def test_nonsense_in_the_query_is_refused(wait: str) -> None:
    with pytest.raises(BadRequest, match="wait must be a number of seconds"):
        read_budget(Query(f"wait={wait}"), "wait=5", 60)


def test_the_shorter_of_two_counts_and_none_is_above_the_ceiling() -> None:
    assert read_budget(Query("wait=3"), "wait=7", 60).seconds == 3
    assert read_budget(Query("wait=7"), "wait=3", 60).seconds == 3
    assert read_budget(Query("wait=70"), "wait=80", 60).seconds == 60


def test_respond_async_alone_waits_not_at_all() -> None:
    assert read_budget(Query(""), "Respond-Async", 60) == Budget(60, respond_async=True, at_once=True)
    assert not read_budget(Query(""), "respond-async, wait=5", 60).at_once
    assert not read_budget(Query("wait=5"), "respond-async", 60).at_once
    assert not read_budget(Query(""), "foo; respond-async", 60).respond_async


@pytest.mark.parametrize(
    ("prefer", "accepted", "applied"),
    [
        ("", False, None),
        ("", True, None),
        ("wait=5", False, "wait=5"),
        ("wait=100", False, "wait=60"),
        ("wait=5", True, "wait=5"),
        ("respond-async", False, None),
        ("respond-async", True, "respond-async"),
        ("wait=5, respond-async", True, "respond-async, wait=5"),
        ("wait=5, respond-async", False, "wait=5"),
        ("return=minimal", True, None),
    ],
)
def test_what_was_applied(prefer: str, accepted: bool, applied: str | None) -> None:
    assert read_budget(Query(""), prefer, 60).applied(accepted) == applied


def test_on_disconnect() -> None:
    assert cancels_on_disconnect(Query("on_disconnect=cancel"), None)
    assert not cancels_on_disconnect(Query(""), None)
    assert not cancels_on_disconnect(Query(""), "key")


@pytest.mark.parametrize("asked", ["", "Cancel", "other", "cancel "])
def test_on_disconnect_can_only_be_cancel(asked: str) -> None:
    with pytest.raises(BadRequest, match="can only be cancel"):
        cancels_on_disconnect(Query(f"on_disconnect={asked.replace(' ', '+')}"), None)
