"""Answer `?result` with what the agent reported."""

from formatters.contract import Answer, Context, Formatter
from formatters.hookspecs import hookimpl


class Result(Formatter):
    """Return the agent's report: code, log, lastline, output, times and user."""

    name = "result"
    queries = ("result",)
    precedence = 400

    def format(self, context: Context) -> Answer:
        """Return the result object, or null when no agent reported."""
        return Answer(context.job.get("result"), context.status)


@hookimpl
def register_formatters() -> list[Formatter]:
    """Register the formatter of `?result`."""
    return [Result()]
