"""Keep tokens out of every message: a quoted request line, a header, however the token is spelled."""

import json
import logging
import re
from typing import Any
from urllib.parse import quote

from app.telemetry.text import escape, indent
from app.telemetry.tokens import is_token_name, mask, mask_named
from app.telemetry.trace import current

# What gunicorn quotes of a request that it cannot read may be a token without its name.
_QUOTED = re.compile(r"(Invalid request from ip=\S+: [^:'\"]*).*")


def redact(text: str) -> str:
    """Replace every token: what looks like one, and those of the request that this thread works for."""
    text = _QUOTED.sub(r"\1", text) if "Invalid request from" in text else text
    trace = current()
    if trace is not None:
        text = mask([form for secret in trace.all_secrets for form in _spellings(secret)], text)
    return mask_named(text)


def redact_json(value: Any) -> Any:
    """Redact every text in a JSON value, names in objects too; the whole text that has the name of a token."""
    if isinstance(value, dict):
        return {
            redact(name): "***" if isinstance(item, str) and is_token_name(name) else redact_json(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return redact(value) if isinstance(value, str) else value


class RedactingFilter(logging.Filter):
    """Redact records before handlers that are not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record and let it through; a message of the service's own becomes one line."""
        text, ours = redact(record.getMessage()), record.name.startswith("theeye_sync")
        record.msg, record.args = escape(text.replace("\n", "\\n")) if ours else text, None
        if record.exc_info and not record.exc_text:
            trace = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_text = escape(indent(trace)) if ours else trace
        return True


class TextFormatter(logging.Formatter):
    """Write a record as text for people, redacted."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Return the message as one line with the request's id; gunicorn lists its configuration in several lines."""
        text = super().formatMessage(record)
        if not record.name.startswith("gunicorn"):
            text = text.replace("\n", "\\n")
        trace = current()
        return f"{text} request_id={trace.request_id}" if trace is not None else text

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the base class's name
        """Return the traceback, indented."""
        return indent(super().formatException(ei))

    def format(self, record: logging.LogRecord) -> str:
        """Return the whole record without tokens and control characters."""
        return escape(redact(super().format(record)))


def _spellings(secret: str) -> set[str]:
    """Return the ways in which a secret may stand in a message."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
    }
