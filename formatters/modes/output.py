"""Answer by default with the job's output, as TheEye stores it."""

from formatters.contract import Answer, Context, Formatter
from formatters.hookspecs import hookimpl


class Output(Formatter):
    """Return the raw output; also chosen when nothing else is asked for."""

    name = "output"
    precedence = 100

    def format(self, context: Context) -> Answer:
        """Return the output array, or null when the job has none."""
        return Answer(context.output, context.status)


@hookimpl
def register_formatters() -> list[Formatter]:
    """Register the default formatter."""
    return [Output()]
