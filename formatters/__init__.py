"""Define response modes as pluggy plugins. Authors import from here, and in tests from `formatters.testing`.

A formatter turns an ended job into an HTTP answer. A plugin is a module (or any object) with one hook:

    from formatters import Answer, Context, Formatter, hookimpl

    class Shout(Formatter):
        name = "shout"
        queries = ("shout",)

        def format(self, context: Context) -> Answer:
            return Answer(str(context.output).upper(), context.status)

    @hookimpl
    def register_formatters():
        return [Shout()]

docs/plugins.md explains how to make an installable, tested package of it.
"""

from formatters.contract import (
    RESERVED,
    Answer,
    BadAnswer,
    BadOutput,
    BadQuery,
    Context,
    Formatter,
    FormatterError,
    Mode,
    RegistrationError,
)
from formatters.cost import TooCostly
from formatters.hookspecs import PROJECT_NAME, hookimpl
from formatters.jsontext import dumps, loads
from formatters.registry import Failure, Registry
from formatters.rendering import Rendered, answered, rendered

__all__ = [
    "PROJECT_NAME",
    "RESERVED",
    "Answer",
    "BadAnswer",
    "BadOutput",
    "BadQuery",
    "Context",
    "Failure",
    "Formatter",
    "FormatterError",
    "Mode",
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
