"""No token in any log: not in a request line that is quoted, not in a header, however it is spelled."""

import logging
import re

_NAME = "".join(f"(?:{letter}|%{ord(letter):02x})" for letter in "access_token")
_SECRET = re.compile(
    rf"({_NAME}(?:\[[^\]\s&]*\]|%5b[^\s&=]*%5d)?(?:=|%3d))[^&\s\"]+"
    r"|(bearer(?:\s|%20|\+|\\t)+)[^\s\"'\\]+",
    re.IGNORECASE,
)
# What gunicorn quotes of a request that it cannot read may be a token without its name.
_QUOTED = re.compile(r"(Invalid request from ip=\S+: [^:'\"]*).*")


def redacted(text: str) -> str:
    """The text with every token replaced."""
    text = _QUOTED.sub(r"\1", text) if "Invalid request from" in text else text
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}***", text)


class RedactingFormatter(logging.Formatter):
    """Redacts a whole record, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """As the base class does, without tokens."""
        return redacted(super().format(record))


class RedactingFilter(logging.Filter):
    """Redacts the message, for a logger whose handlers are not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record through."""
        record.msg, record.args = redacted(record.getMessage()), None
        return True
