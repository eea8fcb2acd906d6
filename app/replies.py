"""What all answers have in common, and what the errors look like."""

import logging
from typing import Any

from flask import Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchRoute

from app import errors, http
from app.incoming import current_trace
from app.theeye import has_ended

log = logging.getLogger("theeye_sync")


class Replies:
    """Answers to the current request."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        """`origins`: those that CORS allows."""
        self._cors = http.Cors(origins)

    def common(self) -> http.Headers:
        """The headers of every answer."""
        headers = self._cors.headers(request.headers.get("Origin"))
        if request.method in ("GET", "HEAD"):
            headers.append(("Cache-Control", "no-store"))
        return headers

    def preflight(self) -> Response:
        """To OPTIONS, for any path and without authentication."""
        return http.response(204, b"", "", self._cors.headers(request.headers.get("Origin"), preflight=True))

    def page(self, status: int, value: Any) -> Response:
        """A JSON answer of our own."""
        return http.json_response(status, value, self.common())

    def failed(self, error: errors.SyncError) -> Response:
        """An error of ours or TheEye's, in TheEye's shape."""
        _note(error)
        headers = [*self.common(), *error.headers.items()]
        if error.job is not None:
            ended = error.job if has_ended(error.job.get("lifecycle")) else None
            headers += http.job_headers(error.job["id"], ended)
        return http.json_response(error.status, error.body(), headers)

    def refused(self, error: HTTPException) -> Response:
        """What the framework refuses: an unknown path, a wrong method."""
        return self.failed(_translated(error))

    def crashed(self, error: Exception) -> Response:
        """A bug of ours: told in the log, not to the client."""
        log.error("unexpected error", exc_info=error)
        return self.failed(errors.SyncError("Internal Server Error"))


def _note(error: errors.SyncError) -> None:
    """Who made the status: TheEye does where it refuses, also a token that we could read."""
    trace = current_trace()
    trace.code = "" if isinstance(error, errors.Unauthorized) else error.code
    refused = isinstance(error, errors.Unauthorized) and trace.secrets is not None
    trace.by = "theeye" if refused or isinstance(error, errors.Refused) else "service"
    if error.job is not None:
        trace.job = error.job["id"]


def no_such_path() -> errors.NotFound:
    """The current path leads nowhere."""
    return errors.NotFound(f"{request.path[:200]} not found")


def _translated(error: HTTPException) -> errors.SyncError:
    if isinstance(error, NoSuchRoute):
        return no_such_path()
    if isinstance(error, MethodNotAllowed):
        return errors.MethodNotAllowed(request.method, error.valid_methods or ())
    if (error.code or 400) >= 500:  # what became of an error while its answer was made
        return errors.SyncError("Internal Server Error")
    return errors.BadRequest(error.name, status=error.code or 400)
