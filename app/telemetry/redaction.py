"""No token in any log: not in a request line that is quoted, not in a header, however it is spelled."""

import json
import logging
import re
import sys
from typing import Any
from urllib.parse import quote

from app.telemetry.access_log import moment, quoted
from app.telemetry.trace import current, without

_NAME = "".join(f"(?:{letter}|%{ord(letter):02x})" for letter in "access_token")
_SECRET = re.compile(
    rf"({_NAME}(?:\[[^\]\s&]*\]|%5b[^\s&=]*%5d)?(?:=|%3d))[^&\s\"]+"
    r"|(bearer(?:\s|%20|\+|\\t)+)[^\s\"'\\]+",
    re.IGNORECASE,
)
# What gunicorn quotes of a request that it cannot read may be a token without its name.
_QUOTED = re.compile(r"(Invalid request from ip=\S+: [^:'\"]*).*")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # all but tabs and the ends of lines


def redacted(text: str) -> str:
    """The text with every token replaced: what looks like one, and those of the request that is under way."""
    text = _QUOTED.sub(r"\1", text) if "Invalid request from" in text else text
    trace = current()
    if trace is not None:
        text = without([form for secret in trace.secrets or () for form in _spellings(secret)], text)
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}***", text)


def escaped(text: str) -> str:
    """The text with what could steer a terminal written out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class RedactingFormatter(logging.Formatter):
    """Redacts a whole record, its traceback included."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """One line, whatever stands in it; gunicorn lists its configuration in several."""
        text = super().formatMessage(record)
        if not record.name.startswith("gunicorn"):
            text = text.replace("\n", "\\n")
        trace = current()
        return f"{text} request_id={trace.request_id}" if trace is not None else text

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the base class's name
        """Indented, so that no line of an error's words looks like a message."""
        return _indented(super().formatException(ei))

    def format(self, record: logging.LogRecord) -> str:
        """As the base class does, without tokens."""
        return escaped(redacted(super().format(record)))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, redacted."""

    def format(self, record: logging.LogRecord) -> str:
        """With the request's id where one is under way, and the traceback where there is one."""
        trace = current()
        line = (
            f'{{"time":"{moment(record.created)}","level":"{record.levelname}","logger":{quoted(record.name)},'
            f'"pid":{record.process or 0},"message":{quoted(redacted(record.getMessage()))}'
        )
        if trace is not None:
            line += f',"request_id":"{trace.request_id}"'
        if record.exc_info:
            line += f',"traceback":{quoted(redacted(self.formatException(record.exc_info)))}'
        return line + "}"


class RedactingFilter(logging.Filter):
    """Redacts a record, for handlers that are not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record through; of ours a message is one line here too."""
        text, ours = redacted(record.getMessage()), record.name.startswith("theeye_sync")
        record.msg, record.args = escaped(text.replace("\n", "\\n")) if ours else text, None
        if record.exc_info and not record.exc_text:
            trace = redacted(logging.Formatter().formatException(record.exc_info))
            record.exc_text = escaped(_indented(trace)) if ours else trace
        return True


_FILTER = RedactingFilter()  # one, so that adding it again changes nothing


class StandardError(logging.StreamHandler[Any]):
    """Writes to standard error as it is by then: a host may replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        """As the base class does."""
        self.stream = sys.stderr
        super().emit(record)


def set_up(form: str) -> None:
    """The service's own messages, on a host that has not done it (gunicorn has): to standard error, in our form."""
    logging.getLogger("werkzeug").addFilter(_FILTER)  # `flask run` logs whole URLs
    to_standard_error("theeye_sync", form)


def to_standard_error(name: str, form: str = "text") -> None:
    """What a logger says, in our form; where the host has handlers of its own, those redact what they are given."""
    log = logging.getLogger(name)
    if log.handlers:
        return
    if form == "json" or not log.hasHandlers():
        handler = StandardError()
        handler.setFormatter(formatter(form, "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    else:
        for foreign in logging.getLogger().handlers:
            foreign.addFilter(_FILTER)


def formatter(form: str, text: str | None, date: str | None = None) -> logging.Formatter:
    """The formatter of messages; `text` and `date` are for the form that people read."""
    return JsonFormatter() if form == "json" else RedactingFormatter(text, date)


def _indented(text: str) -> str:
    return "  " + text.replace("\n", "\n  ")


def _spellings(secret: str) -> set[str]:
    """The ways in which a secret may stand in a message."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
    }
