"""Keep tokens out of gunicorn's own log messages, which quote requests."""

import logging

from gunicorn.glogging import Logger

from app.settings import Settings
from app.telemetry.messages import make_formatter


class RedactingLogger(Logger):  # type: ignore[misc]
    """Redact gunicorn's messages; named by its setting `logger_class`."""

    def setup(self, cfg: object) -> None:
        """Set up gunicorn's logs as usual, then redact what their handlers write; the service's log gets the same."""
        super().setup(cfg)
        form = Settings.from_env().log
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                shown = handler.formatter or logging.Formatter()
                handler.setFormatter(make_formatter(form, shown._fmt, shown.datefmt))
        ours = logging.getLogger("theeye_sync")
        ours.handlers, ours.propagate = self.error_log.handlers, False
        ours.setLevel(self.error_log.level)
