"""Remove tokens from gunicorn's own log messages, which quote requests."""

import logging
import os

from gunicorn.glogging import Logger

from app.settings import Settings
from app.telemetry.messages import make_formatter


class RedactingLogger(Logger):  # type: ignore[misc]
    """Redact gunicorn's messages; gunicorn's setting `logger_class` names this class."""

    def setup(self, cfg: object) -> None:
        """Set up gunicorn's loggers, make their handlers redact, and use the handlers for the service's logger too."""
        super().setup(cfg)
        settings = Settings.from_env()
        if settings.container:
            os.dup2(1, 2)  # one stream: standard error becomes standard output
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                shown = handler.formatter or logging.Formatter()
                handler.setFormatter(make_formatter(settings.log, shown._fmt, shown.datefmt))
        ours = logging.getLogger("theeye_sync")
        ours.handlers, ours.propagate = self.error_log.handlers, False
        ours.setLevel(self.error_log.level)
