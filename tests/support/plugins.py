"""Define formatters and plugins for tests."""

from collections.abc import Mapping
from typing import Any

from formatters import Answer, BadQuery, Context, Formatter, Registry, hookimpl


class Shout(Formatter):
    name = "shout"
    queries = ("shout", "loud")
    media_types = ("text/shout",)
    precedence = 220

    def check(self, query: Mapping[str, str]) -> None:
        if query.get("shout", "") not in ("", "twice"):
            raise BadQuery("shout can only be twice")

    def format(self, context: Context) -> Answer:
        return Answer(str(context.output).upper(), context.status, "text/plain")


class Plugin:
    """Register the given formatters."""

    def __init__(self, *given: Any) -> None:
        self.given = given

    @hookimpl
    def register_formatters(self) -> Any:
        return self.given


def with_attributes(**attributes: Any) -> Formatter:
    """Return a Shout that declares other attributes."""
    kind: type[Formatter] = type(
        "Other", (Shout,), {"queries": ("other",), "media_types": (), "name": "other"} | attributes
    )
    return kind()


def names(registry: Registry) -> list[str]:
    return [formatter.name for formatter in registry]


GOOD = """
from formatters import Answer, Formatter, hookimpl
__version__ = "3.2.1"
class Good(Formatter):
    name = {name!r}
    queries = ({name!r},)
    precedence = 50
    def format(self, context):
        return Answer("fine", 200)
@hookimpl
def register_formatters():
    return [Good()]
"""
