"""Run formatters; whatever a formatter does, the client gets a legal answer."""

import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from traceback import walk_tb

from app.api.responses import Headers, Response, respond
from app.errors import BadRequest, FormatterFailed
from formatters import (
    Answer,
    BadOutput,
    BadQuery,
    Context,
    Formatter,
    FormatterError,
    Registry,
    Rendered,
    TooCostly,
    answered,
    rendered,
)

MESSAGE_LENGTH = 500  # characters of a formatter's message that are sent to the client

log = logging.getLogger("theeye_sync.formatters")


def choose(formatters: Registry, query: Mapping[str, str], accept: str) -> Formatter:
    """Return the formatter that a request selects, and let it check the query. Raise BadRequest or FormatterFailed."""
    formatter = formatters.choose(query, accept)
    try:
        formatter.check(query)
    except BadQuery as error:
        raise BadRequest(_words(error) or f"{formatter.name}: the value cannot be used") from None
    except BaseException as error:
        if _is_for_host(error):
            raise
        log.exception("formatter %s failed before the job", formatter.name)
        raise _failed(formatter, error) from None
    return formatter


def render(
    formatter: Formatter, context: Context, headers: Headers, has_crashed: Callable[[], bool] = lambda: False
) -> Response:
    """Return the formatter's answer with the service's own headers, which win. Raise FormatterFailed.

    `has_crashed` returns whether the script has crashed: then a status of success becomes 500.
    """
    job_id = context.job.get("id")  # a formatter may change the document
    try:
        answer = _answered(formatter, context, has_crashed)
    except FormatterFailed:  # raised by `has_crashed`, with its own message
        raise
    except BaseException as error:
        if _is_for_host(error):
            raise
        if isinstance(error, FormatterError) and error.__cause__ is None:  # the message says everything
            log.warning("formatter %s failed on job %s: %a", formatter.name, job_id, _words(error))
        else:
            log.exception("formatter %s failed on job %s", formatter.name, job_id)
        raise _failed(formatter, error) from None
    if answer.headers:
        ours = {name.lower() for name, _ in headers}
        headers = [*headers, *(pair for pair in answer.headers if pair[0].lower() not in ours)]
    return respond(answer.status, answer.body, answer.content_type, headers)


def _answered(formatter: Formatter, context: Context, has_crashed: Callable[[], bool]) -> Rendered:
    """Return the formatter's answer, with status 500 instead of a success if the script has crashed.

    If the formatter cannot use the output of a crashed script, the answer is the raw output.
    """
    try:
        answer = answered(formatter, context)
    except TooCostly:
        raise
    except BadOutput:
        if not has_crashed():
            raise
        return rendered(Answer(context.output, 500))
    return replace(answer, status=500) if answer.status < 400 and has_crashed() else answer


def _failed(formatter: Formatter, error: BaseException) -> FormatterFailed:
    """Return the error for the client; the log has the whole one."""
    return FormatterFailed(formatter.name, _words(error) if isinstance(error, FormatterError) else "")


def _is_for_host(error: BaseException) -> bool:
    """Return whether the host raised the error: Ctrl-C, gunicorn ending the worker, or gevent ending the request."""
    if isinstance(error, KeyboardInterrupt):
        return signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if isinstance(error, SystemExit):  # a signal's handler interrupts any code, also a formatter's
        *_, (frame, _) = walk_tb(error.__traceback__)
        return str(frame.f_globals.get("__name__", "")).startswith("gunicorn.")
    return type(error).__name__ == "GreenletExit"


def _words(error: BaseException) -> str:
    return next((str.__str__(arg)[:MESSAGE_LENGTH] for arg in error.args if isinstance(arg, str)), "")
