"""What all answers have in common, and what the errors look like."""

import logging
from collections.abc import Callable
from typing import Any

from app import errors
from app.api import responses as http
from app.api.request import Request
from app.theeye.client import has_ended

log = logging.getLogger("theeye_sync")


class Replies:
    """Answers to a request."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        """`origins`: those that CORS allows."""
        self._cors = http.Cors(origins)

    def common(self, request: Request) -> http.Headers:
        """The headers of every answer."""
        headers = self._cors.headers(request.header("HTTP_ORIGIN"))
        if request.method in ("GET", "HEAD"):
            headers.append(("Cache-Control", "no-store"))
        return headers

    def safely(self, request: Request, answer: Callable[[], http.Response]) -> http.Response:
        """The answer, or the one that tells its error."""
        try:
            return answer()
        except errors.SyncError as error:
            return self.failed(request, error)
        except Exception as error:  # noqa: BLE001 - logged by `crashed`
            return self.crashed(request, error)

    def preflight(self, request: Request) -> http.Response:
        """To OPTIONS, for any path and without authentication."""
        return http.response(204, b"", "", self._cors.headers(request.header("HTTP_ORIGIN"), preflight=True))

    def page(self, request: Request, status: int, value: Any) -> http.Response:
        """A JSON answer of our own."""
        return http.json_response(status, value, self.common(request))

    def failed(self, request: Request, error: errors.SyncError) -> http.Response:
        """An error of ours or TheEye's, in TheEye's shape."""
        _note(request, error)
        headers = [*self.common(request), *error.headers.items()]
        if error.job is not None:
            ended = error.job if has_ended(error.job.get("lifecycle")) else None
            headers += http.job_headers(error.job["id"], ended)
        return http.json_response(error.status, error.body(), headers)

    def crashed(self, request: Request, error: Exception) -> http.Response:
        """A bug of ours: told in the log, not to the client."""
        log.error("unexpected error", exc_info=error)
        return self.failed(request, errors.SyncError("Internal Server Error"))


def no_such_path(request: Request) -> errors.NotFound:
    """The request's path leads nowhere."""
    return errors.NotFound(f"{request.path[:200]} not found")


def _note(request: Request, error: errors.SyncError) -> None:
    """Who made the status: TheEye does where it refuses, also a token that we could read."""
    trace = request.trace
    trace.code = error.code
    refused = isinstance(error, errors.Unauthorized) and trace.secrets is not None
    trace.by = "theeye" if refused or isinstance(error, errors.Refused) else "service"
    if error.job is not None:
        trace.job = error.job["id"]
