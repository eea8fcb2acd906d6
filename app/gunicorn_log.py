"""gunicorn's own messages, without the tokens that stand in the requests they quote."""

import logging
import re

from gunicorn.glogging import Logger

_SECRET = re.compile(
    r"((?:access_token|access%5ftoken)(?:=|%3d)|\bbearer(?:\s|%20|\+)+)[^\s&\"'\\<>,)]+", re.IGNORECASE
)


def redacted(text: str) -> str:
    """The text with every token replaced."""
    return _SECRET.sub(r"\1***", text)


class _Redacting(logging.Formatter):
    """Redacts a whole record, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class RedactingLogger(Logger):  # type: ignore[misc]
    """To be named as gunicorn's `logger_class`."""

    def setup(self, cfg: object) -> None:
        """Sets gunicorn's logs up as usual, with redaction before every handler; the service's own go the same way."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                shown = handler.formatter or logging.Formatter()
                handler.setFormatter(_Redacting(shown._fmt, shown.datefmt))
        ours = logging.getLogger("theeye_sync")
        ours.handlers, ours.propagate = self.error_log.handlers, False
        ours.setLevel(self.error_log.level)
