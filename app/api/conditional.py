"""Answer 304 to a client that has an answer already (RFC 9110, 13.1.2)."""

from http import HTTPStatus

import flask
from flask import request

from app.api.responses import status_line


def is_known(response: flask.Response) -> bool:
    """Return whether the request's If-None-Match names the response's ETag; never for a job that did not succeed."""
    if response.status_code == HTTPStatus.NOT_MODIFIED:
        return response.direct_passthrough  # Flask's own for a file, which tells the length of one of its two forms
    if "HTTP_IF_NONE_MATCH" not in request.environ or request.method not in ("GET", "HEAD"):
        return False
    tag, _ = response.get_etag()
    has_failed = "X-Job-Id" in response.headers and response.headers.get("X-Job-State") != "success"
    if tag is None or has_failed or response.status_code != HTTPStatus.OK:
        return False
    return request.if_none_match.contains_weak(tag)


def make_not_modified(response: flask.Response) -> None:
    """Leave out the body, and the headers that are about it."""
    if not response.direct_passthrough:  # a file is never sent with this status, and closed at the end
        response.set_data(b"")
    response.status = status_line(HTTPStatus.NOT_MODIFIED)
    for name in ("Content-Type", "Content-Length"):
        response.headers.remove(name)
