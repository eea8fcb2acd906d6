"""Detect a crashed script: TheEye ignores its exit code and reports the job as a success."""

from app.api.query import STRICT, Query
from app.errors import FormatterFailed
from app.theeye.jobs import Job
from formatters.cost import TooCostly
from formatters.jsontext import is_json


def is_strict(query: Query, usual: bool) -> bool:
    """Return whether a crashed script is answered with 500; the query overrides `usual`, the setting."""
    asked = query.flag(STRICT)
    return usual if asked is None else asked


def has_crashed(job: Job, mode: str) -> bool:
    """Return whether the exit code is not 0, or TheEye's agent cannot parse the last line. Raise FormatterFailed.

    A script that ends early prints a stack trace or nothing instead of its answer. A job without a result, which no
    agent has run, has not crashed.
    """
    result = job.document.get("result")
    line = result.get("lastline") if isinstance(result, dict) else None
    try:
        return bool(job.exit_code) or (isinstance(line, str) and not is_json(line))
    except TooCostly as error:
        message = f"`strict` cannot check the last line of the job's output: {error}. Read the job without it"
        raise FormatterFailed(mode, message=message) from None
