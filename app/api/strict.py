"""Show a caller that a script has crashed: TheEye does not look at its exit code and calls the job a success."""

from app.api.query import STRICT, Query
from app.errors import FormatterFailed
from app.theeye.jobs import Job
from formatters.cost import TooCostly
from formatters.jsontext import is_json


def is_strict(query: Query, usual: bool) -> bool:
    """Return whether the request wants 500 for a crashed script; `usual` is the setting, which the query overrides."""
    asked = query.flag(STRICT)
    return usual if asked is None else asked


def has_crashed(job: Job, mode: str) -> bool:
    """Return whether the exit code is not 0, or the last line no JSON to TheEye's agent. Raise FormatterFailed.

    A script that ends early prints a trace or nothing where its answer should be. A job without a result, which no
    agent has run, has not crashed.
    """
    result = job.document.get("result")
    line = result.get("lastline") if isinstance(result, dict) else None
    try:
        return bool(job.exit_code) or (isinstance(line, str) and not is_json(line))
    except TooCostly as error:
        message = f"`strict` cannot check the last line of the job's output: {error}. Read the job without it"
        raise FormatterFailed(mode, message=message) from None
