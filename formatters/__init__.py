"""Response formats as pluggy plugins: everything an author needs stands here.

A formatter turns an ended job into an HTTP answer. A plugin is a module (or any object) with one hook:

    from formatters import Answer, Context, Formatter, hookimpl

    class Shout(Formatter):
        name = "shout"
        queries = ("shout",)

        def format(self, context: Context) -> Answer:
            return Answer(str(context.output).upper())

    @hookimpl
    def register_formatters():
        return [Shout()]
"""

from formatters.contract import Answer, Context, Formatter
from formatters.hookspecs import PROJECT_NAME, hookimpl
from formatters.registry import RegistrationError, Registry

__all__ = [
    "PROJECT_NAME",
    "Answer",
    "Context",
    "Formatter",
    "RegistrationError",
    "Registry",
    "hookimpl",
]
