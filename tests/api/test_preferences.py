"""Test how long a client wants to wait: `?wait`, `Prefer` and `on_disconnect`."""

import time

import pytest

from app.api.preferences import Budget, cancels_on_disconnect, read_budget
from app.api.query import Query
from app.errors import BadRequest

FIVE_SECONDS = [
    *("wait=5", "WAIT=5", " wait = 5 ", 'wait="5"', "wait=5; x=y", "wait=5;", 'wait=5; x="a, wait=1"'),
    *("return=minimal, wait=5", "return=minimal,,wait=5,", "respond-async, wait=5, handling=lenient"),
    *('foo="a, b", wait=5', 'foo="", wait=5', "foo; wait=1, wait=5", "foo\t=\tbar\t,\twait=5"),
    *("wait=5, wait=1", "Wait=5, wAIT=1", 'foo; p="a, wait=1", wait=5', r'foo="a\", wait=1", wait=5'),
    r'foo; p="\\", wait=5',
]


def budget(query: str = "", prefer: str | None = None) -> Budget:
    return read_budget(Query(query), prefer, 60)


@pytest.mark.parametrize(
    ("prefer", "seconds"), [("wait=0", 0), ("wait=007", 7), *((prefer, 5) for prefer in FIVE_SECONDS)]
)
def test_the_header_names_the_seconds(prefer: str, seconds: float) -> None:
    found = budget(prefer=prefer)
    assert (found.seconds, found.waits_by_header) == (seconds, True)


NONSENSE = [
    *(None, "", " ", ",", "wait", "wait=", 'wait=""', "wait=x", "wait=-1", "wait=+1", "wait=1.5", "wait=1e3", "wait=٣"),
    *("wait=1234567890", "wait=x, wait=5", "waiting=5", "x-wait=5", "return; wait=5", 'foo="wait=5"', "wait=5 6"),
    *('foo="a, wait=5"', "=5", '"wait=5"', "@wait=5"),
]


@pytest.mark.parametrize("prefer", NONSENSE)
def test_nonsense_in_the_header_is_ignored(prefer: str | None) -> None:
    assert budget(prefer=prefer) == Budget(60)


HOSTILE = ["wait=" * 20_000, 'x="' * 20_000, "x=" + " " * 20_000, "x;" * 20_000, '"' * 20_001, "\\" * 20_000]


@pytest.mark.parametrize("prefer", [*HOSTILE, ",".join(["," + " " * 8000] * 10)])
def test_a_long_header_costs_no_time(prefer: str) -> None:
    began = time.thread_time()
    found = budget(prefer=prefer)
    assert time.thread_time() - began < 0.25
    assert found == Budget(60)


@pytest.mark.parametrize(
    ("query", "seconds"),
    [("", 60), ("wait=5", 5), ("wait=0", 0), ("wait=0.25", 0.25), ("wait=100", 60), ("wait=5&wait=x", 5), ("a=1", 60)],
)
def test_the_query_names_the_seconds(query: str, seconds: float) -> None:
    assert budget(query) == Budget(seconds)


@pytest.mark.parametrize(
    "wait", ["", "x", "-1", "+1", "1e3", ".5", "1.", "1.2345", "1_0", "%201", "nan", "inf", "1234567890", "%D9%A3"]
)
def test_nonsense_in_the_query_is_refused(wait: str) -> None:
    with pytest.raises(BadRequest, match="wait must be a number of seconds"):
        budget(f"wait={wait}", "wait=5")


@pytest.mark.parametrize(
    ("query", "prefer", "seconds"), [("wait=3", "wait=7", 3), ("wait=7", "wait=3", 3), ("wait=70", "wait=80", 60)]
)
def test_the_shorter_of_two_counts_and_none_is_above_the_ceiling(query: str, prefer: str, seconds: float) -> None:
    assert budget(query, prefer).seconds == seconds


def test_respond_async_alone_waits_not_at_all() -> None:
    assert budget("", "Respond-Async") == Budget(60, respond_async=True, at_once=True)
    assert not budget("", "respond-async, wait=5").at_once
    assert not budget("wait=5", "respond-async").at_once
    assert not budget("", "foo; respond-async").respond_async


@pytest.mark.parametrize(
    ("prefer", "else_applied", "accepted_applied"),
    [
        ("", None, None),
        ("wait=5", "wait=5", "wait=5"),
        ("wait=100", "wait=60", "wait=60"),
        ("respond-async", None, "respond-async"),
        ("wait=5, respond-async", "wait=5", "respond-async, wait=5"),
        ("return=minimal", None, None),
    ],
)
def test_what_was_applied(prefer: str, else_applied: str | None, accepted_applied: str | None) -> None:
    found = budget(prefer=prefer)
    assert (found.applied(False), found.applied(True)) == (else_applied, accepted_applied)


def test_on_disconnect() -> None:
    assert cancels_on_disconnect(Query("on_disconnect=cancel"), None)
    assert not cancels_on_disconnect(Query(""), None)
    assert not cancels_on_disconnect(Query(""), "key")


@pytest.mark.parametrize("asked", ["", "Cancel", "other", "cancel "])
def test_on_disconnect_can_only_be_cancel(asked: str) -> None:
    with pytest.raises(BadRequest, match="can only be cancel"):
        cancels_on_disconnect(Query(f"on_disconnect={asked.replace(' ', '+')}"), None)
