"""Answer 304 to a client that already has the answer (RFC 9110, 13.1.2)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import flask
from flask import request

from app.api.responses import status_line


def is_known(response: flask.Response, environ: Mapping[str, Any]) -> bool:
    """Return whether the request's If-None-Match has the response's ETag; False for a job that did not succeed."""
    if response.status_code == HTTPStatus.NOT_MODIFIED:
        return response.direct_passthrough  # Flask's own 304 for a file: its Content-Length may be wrong
    if "HTTP_IF_NONE_MATCH" not in environ or request.method not in ("GET", "HEAD"):
        return False
    tag, _ = response.get_etag()
    has_failed = "X-Job-Id" in response.headers and response.headers.get("X-Job-State") != "success"
    if tag is None or has_failed or response.status_code != HTTPStatus.OK:
        return False
    return request.if_none_match.contains_weak(tag)


def make_not_modified(response: flask.Response) -> None:
    """Remove the body, and the headers that describe it."""
    if not response.direct_passthrough:  # a file is not sent with status 304, and closed with the response
        response.set_data(b"")
    response.status = status_line(HTTPStatus.NOT_MODIFIED)
    for name in ("Content-Type", "Content-Length"):
        response.headers.remove(name)
