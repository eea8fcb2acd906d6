"""The quick end of a gunicorn worker, by Ctrl-C or SIGQUIT."""

from typing import Any


class QuitsOnce:
    """For a worker class. After Ctrl-C the terminal says it and then the master too; the second disturbs the first."""

    _quitting = False

    def handle_quit(self, number: int, frame: Any) -> None:
        """As gunicorn calls it."""
        if not self._quitting:
            self._quitting = True
            super().handle_quit(number, frame)  # type: ignore[misc]
