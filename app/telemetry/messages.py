"""Set up logging: where the service's messages go, and in which form (text or JSON)."""

import logging
import sys
from typing import Any

from app.telemetry.redaction import RedactingFilter, TextFormatter

_FILTER = RedactingFilter()  # one object: `addFilter` ignores it when it is added again


class StandardError(logging.StreamHandler[Any]):
    """Write to the current `sys.stderr`: a WSGI host may replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        self.stream = sys.stderr
        super().emit(record)


def set_up(form: str) -> None:
    """Send the service's messages to standard error, unless gunicorn's logger or the host has set up a handler."""
    logging.getLogger("werkzeug").addFilter(_FILTER)  # `flask run` logs whole URLs
    if not logging.getLogger("theeye_sync").handlers:  # not set up by app/serving/logger.py
        for name in ("gunicorn.error", "gunicorn.access"):
            logging.getLogger(name).addFilter(_FILTER)
    log_to_standard_error("theeye_sync", form)


def log_to_standard_error(name: str, form: str = "text") -> None:
    """Send a logger's messages to standard error. If the form is text and the host has handlers, make those redact."""
    log = logging.getLogger(name)
    if log.handlers:
        return
    if form == "json" or not log.hasHandlers():
        handler = StandardError()
        handler.setFormatter(make_formatter(form, "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    else:
        for foreign in logging.getLogger().handlers:
            foreign.addFilter(_FILTER)


def make_formatter(form: str, text: str | None, date: str | None = None) -> logging.Formatter:
    """Return the formatter of messages; `text` and `date` are the formats of the text form."""
    if form != "json":
        return TextFormatter(text, date)
    from app.telemetry.json_formatter import JsonFormatter  # only this form needs the extra `log`

    return JsonFormatter()
