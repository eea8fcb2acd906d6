"""Serve TheEye Sync with Python's own server, one request at a time: `python deploy/wsgiref_server.py`."""

import sys
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from app import EXTENSION
from wsgi import application


class Handler(WSGIRequestHandler):
    """Give the service the undecoded path, and log neither path nor query, which may hold a token."""

    def get_environ(self) -> dict[str, Any]:
        """Return the environ with the undecoded path."""
        return super().get_environ() | {"REQUEST_URI": self.path}

    def log_message(self, format: str, *args: Any) -> None:
        """Log method and status, or only that the request was refused."""
        status = args[1] if format == '"%s" %s %s' else "refused"
        sys.stderr.write(f"{self.address_string()} [{self.log_date_time_string()}] {self.command or '-'} {status}\n")


if __name__ == "__main__":
    host, _, port = application.extensions[EXTENSION].settings.bind.rpartition(":")
    with make_server(host, int(port), application, handler_class=Handler) as server:
        server.serve_forever()
