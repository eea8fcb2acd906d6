"""Test the choice of a mode, and plugins beside the built-in ones."""

import pytest
from support.plugins import Plugin, Shout, names, with_attributes

from app.api.query import Query
from formatters import RegistrationError, Registry


def test_the_built_ins_hold_their_precedence() -> None:
    held = [(formatter.name, formatter.precedence) for formatter in Registry()]
    assert held == [("result", 400), ("full", 300), ("response", 250), ("parse", 200), ("output", 100)]


@pytest.mark.parametrize(
    ("precedence", "order"),
    [
        (500, ["other", "result", "full", "response", "parse", "output"]),
        (399.5, ["result", "other", "full", "response", "parse", "output"]),
        (250, ["result", "full", "response", "other", "parse", "output"]),
        (200, ["result", "full", "response", "parse", "other", "output"]),
        (-1, ["result", "full", "response", "parse", "output", "other"]),
    ],
)
def test_a_plugin_stands_before_between_or_after_the_built_ins(precedence: float, order: list[str]) -> None:
    registry = Registry()
    registry.register(Plugin(with_attributes(precedence=precedence)))
    assert names(registry) == order
    for position, name in enumerate(order):
        rest = {each: "" for each in order[position:] if each != "output"}
        assert registry.choose(rest).name == (name if name in rest else "other" if rest else "output")


@pytest.mark.parametrize(
    ("query", "accept", "name"),
    [
        ("loud", "", "shout"),
        ("parse", "text/shout", "parse"),
        *(("", accept, "shout") for accept in ("text/shout", "TEXT/Shout", "text/html, text/shout;q=0.5")),
        *(("", accept, "output") for accept in ("", "*/*", "application/json", "application/json, text/plain, */*")),
    ],
)
def test_query_names_win_over_accept(query: str, accept: str, name: str) -> None:
    registry = Registry()
    registry.register(Plugin(Shout()))
    assert registry.choose(Query(query).first, accept).name == name


def test_a_plugin_can_come_after_one_that_was_refused_by_name() -> None:
    registry = Registry()
    registry.register(Plugin(Shout()), "mine")
    with pytest.raises(RegistrationError, match="the plugin name 'mine' is taken"):
        registry.register(Plugin(with_attributes()), "mine")
    with pytest.raises(RegistrationError, match="'shout' is taken"):
        registry.register(Plugin(Shout()))
    assert names(registry).count("shout") == 1
    assert len(names(registry)) == 6


def test_precedence_does_not_depend_on_the_order_in_the_query() -> None:
    for query, name in [("parse&full&result", "result"), ("parse&full", "full"), ("x&parse", "parse"), ("x", "output")]:
        assert Registry().choose(Query(query).first).name == name


def test_a_disabled_formatter_is_not_there_and_the_default_always_is() -> None:
    registry = Registry(disabled=["parse", "output"])
    assert names(registry) == ["result", "full", "response", "output"]
    assert registry.choose({"parse": ""}).name == "output"
