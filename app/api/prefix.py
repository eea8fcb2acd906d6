"""Take no path prefix from a client."""

import os
from typing import Any

from app.telemetry.wsgi import Wsgi


class OwnPrefix:
    """Wrap a WSGI application for a gunicorn that was started without app/serving/config.py.

    By its default `forwarder_headers` it lets whoever is at 127.0.0.1 cut the path with a header SCRIPT_NAME.
    """

    def __init__(self, application: Wsgi) -> None:
        """Wrap an application; an operator's prefix is in the environment, as gunicorn reads it."""
        self._application = application
        self._prefix = os.environ.get("SCRIPT_NAME", "")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Put back what a header has cut off."""
        if "gunicorn.socket" in environ and environ.get("SCRIPT_NAME", "") != self._prefix:
            path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = self._prefix, path.removeprefix(self._prefix)
        return self._application(environ, start_response)
