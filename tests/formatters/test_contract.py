"""Test what a formatter may declare, and what an author imports."""

import re
from typing import Any

import pytest
from support.plugins import Plugin, Shout, with_attributes

import formatters
from app.api.query import BLOCKED_NAMES, SERVICE_NAMES
from formatters import RegistrationError, Registry

REFUSED: list[tuple[Any, str]] = [
    (Shout, "Shout is a class: register an object of it"),
    ("shout", "str is not a Formatter"),
    (None, "NoneType is not a Formatter"),
    *(({"name": name}, f"the name of Other cannot be {name!r:.40}") for name in ("", "a b", "a\r\nb", 7, "x" * 100)),
    *(({"name": name}, f"the name '{name}' is taken") for name in ("parse", "output")),
    ({"queries": "csv"}, "it must be in a tuple, not in str"),
    ({"queries": None}, "it must be in a tuple"),
    *(({"queries": (query,)}, f"a query name of 'other' cannot be {query!r}") for query in ("a&b", "a[]", 1)),
    *(({"queries": queries}, f"the query '{queries[0]}' is taken") for queries in (("x", "x"), ("full",))),
    ({"queries": ()}, "nothing selects 'other'"),
    *(({"media_types": (kind,)}, "a media type of 'other' cannot be") for kind in ("*/*", "text/*", "text/CSV")),
    ({"media_types": ("text/csv; a=b",)}, "a media type of 'other' cannot be"),
    ({"media_types": ("application/json",)}, "the service's own media type"),
    *(({"precedence": odd}, "the precedence of 'other' is not a number") for odd in ("high", True, float("nan"))),
]


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_nonsense_is_refused_and_changes_nothing(given: Any, words: str) -> None:
    registry = Registry()
    before = registry.modes
    given = with_attributes(**given) if isinstance(given, dict) else given
    with pytest.raises(RegistrationError, match=re.escape(words)):
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
        *("Answer", "BadAnswer", "BadOutput", "BadQuery", "Context", "Failure", "Formatter", "FormatterError", "Mode"),
        *("PROJECT_NAME", "RESERVED", "RegistrationError", "Registry", "Rendered", "TooCostly"),
        *("answered", "dumps", "hookimpl", "loads", "rendered"),
    ]
