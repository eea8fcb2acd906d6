"""Ignore a path prefix from a client."""

import os
from typing import Any

from app.telemetry.wsgi import Wsgi


class OwnPrefix:
    """Restore the path prefix, under a gunicorn that was started without app/serving/config.py.

    By the default of its `forwarder_headers`, a client at 127.0.0.1 can cut the path with a header SCRIPT_NAME.
    """

    def __init__(self, application: Wsgi) -> None:
        """Wrap an application; read the operator's prefix from the environment, as gunicorn does."""
        self._application = application
        self._prefix = os.environ.get("SCRIPT_NAME", "")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Restore the path that a header has cut."""
        if "gunicorn.socket" in environ and environ.get("SCRIPT_NAME", "") != self._prefix:
            path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = self._prefix, path.removeprefix(self._prefix)
        return self._application(environ, start_response)
