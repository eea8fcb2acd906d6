"""Define what gateway and supervisor share: JSON answers, refusals, and the caller's session."""

from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError

from sandbox.jsontext import dumps
from sandbox.store import Store

MAX_BODY = 64 * 1024 * 1024


class Refused(Exception):
    """Answer with an error's status and body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def answer(body: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return answer_text(dumps(body), status)


def answer_text(text: str, status: int = 200) -> Response:
    """Return an answer whose body is JSON text already."""
    return Response(text, status, mimetype="application/json")


def error_body(status: int, message: str) -> dict[str, Any]:
    """Return an error's body in TheEye's form."""
    return {"statusCode": status, "message": message, "errors": []}


def session_customer(store: Store) -> str | None:
    """Return the organisation of the caller's session; a Bearer header takes precedence over the query."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        token = request.args.get("access_token", "")
    return store.customer_of(token.strip())


def install(app: Flask) -> None:
    """Make an application answer errors in JSON."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes = False
    # On a keep-alive connection an unread body would be read as the next request.
    app.before_request(_read_body)
    app.register_error_handler(Refused, lambda error: answer(error.body, error.status))
    app.register_error_handler(HTTPException, _http_error)


def _read_body() -> None:
    request.get_data(cache=True, parse_form_data=False)


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    message = "Internal Server Error" if isinstance(error, InternalServerError) else error.name
    return answer({"code": message.replace(" ", ""), "message": message}, status)
