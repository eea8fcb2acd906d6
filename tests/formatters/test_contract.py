"""What a formatter may declare, and what an author imports."""

from typing import Any

import pytest
from support.plugins import Plugin, Shout, with_attributes

import formatters
from app.api.query import BLOCKED_NAMES, SERVICE_NAMES
from formatters import RegistrationError, Registry


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
    assert formatters.RESERVED >= SERVICE_NAMES | BLOCKED_NAMES


def test_a_media_type_is_taken_only_once() -> None:
    registry = Registry()
    registry.register(Plugin(Shout()))
    with pytest.raises(RegistrationError, match="the media type 'text/shout' is taken"):
        registry.register(Plugin(with_attributes(media_types=("text/shout",))))


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
        "TooCostly",
        "answered",
        "dumps",
        "hookimpl",
        "loads",
        "rendered",
    ]
