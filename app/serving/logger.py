"""gunicorn's own messages, without the tokens that stand in the requests they quote."""

import logging

from gunicorn.glogging import Logger

from app.settings import Settings
from app.telemetry.messages import make_formatter


class RedactingLogger(Logger):  # type: ignore[misc]
    """To be named as gunicorn's `logger_class`."""

    def setup(self, cfg: object) -> None:
        """Sets gunicorn's logs up as usual, with redaction before every handler; the service's own go the same way."""
        super().setup(cfg)
        form = Settings.from_env().log
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                shown = handler.formatter or logging.Formatter()
                handler.setFormatter(make_formatter(form, shown._fmt, shown.datefmt))
        ours = logging.getLogger("theeye_sync")
        ours.handlers, ours.propagate = self.error_log.handlers, False
        ours.setLevel(self.error_log.level)
