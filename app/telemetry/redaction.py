"""Remove tokens from messages, for example from a quoted request line or header, in every spelling."""

import json
import logging
import re
from typing import Any
from urllib.parse import quote

from app.telemetry.text import escape, indent
from app.telemetry.tokens import is_token_name, mask, mask_named
from app.telemetry.trace import current

# gunicorn quotes a request that it cannot read: the quoted text may be a token without its name.
_QUOTED = re.compile(r"(Invalid request from ip=\S+: [^:'\"]*).*")


def redact(text: str) -> str:
    """Mask every text that looks like a token, and the tokens of the current request."""
    text = _QUOTED.sub(r"\1", text) if "Invalid request from" in text else text
    trace = current()
    if trace is not None:
        text = mask([form for secret in trace.all_secrets for form in _spellings(secret)], text)
    return mask_named(text)


def redact_json(value: Any) -> Any:
    """Redact every text in a JSON value, also names; mask the whole value of a name such as `access_token`."""
    if isinstance(value, dict):
        return {
            redact(name): "***" if isinstance(item, str) and is_token_name(name) else redact_json(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return redact(value) if isinstance(value, str) else value


class RedactingFilter(logging.Filter):
    """Redact records in handlers that belong to the host."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record and keep it; write a message of the service on one line."""
        text, ours = redact(record.getMessage()), record.name.startswith("theeye_sync")
        record.msg, record.args = escape(text.replace("\n", "\\n")) if ours else text, None
        if record.exc_info and not record.exc_text:
            trace = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_text = escape(indent(trace)) if ours else trace
        return True


class TextFormatter(logging.Formatter):
    """Write a record as text, redacted."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Return the message on one line with the request's id. Keep gunicorn's lines: it lists its configuration."""
        text = super().formatMessage(record)
        if not record.name.startswith("gunicorn"):
            text = text.replace("\n", "\\n")
        trace = current()
        return f"{text} request_id={trace.request_id}" if trace is not None else text

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the base class's name
        """Return the traceback, indented."""
        return indent(super().formatException(ei))

    def format(self, record: logging.LogRecord) -> str:
        """Return the record without tokens and control characters."""
        return escape(redact(super().format(record)))


def _spellings(secret: str) -> set[str]:
    """Return the forms in which a message may contain a secret."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
    }
