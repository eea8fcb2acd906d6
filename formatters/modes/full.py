"""Answer `?full` with the whole job document."""

from formatters.contract import Answer, Context, Formatter
from formatters.hookspecs import hookimpl


class Full(Formatter):
    """Return the job document as the supervisor gives it."""

    name = "full"
    queries = ("full",)
    precedence = 300

    def format(self, context: Context) -> Answer:
        """Return the job document."""
        return Answer(context.job if context.whole is None else context.whole, context.status)


@hookimpl
def register_formatters() -> list[Formatter]:
    """Register the formatter of `?full`."""
    return [Full()]
