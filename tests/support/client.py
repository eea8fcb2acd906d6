"""Send requests with Flask's test client, as gunicorn would pass them to the application, and check errors."""

from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask
from flask.testing import FlaskClient
from werkzeug import Response
from werkzeug.test import TestResponse

from app import EXTENSION, Services
from app.runs.durations import Durations
from support.processes import RawResponse
from support.theeye import JOB

RUN = b'{"task_arguments":[100]}'


def close(app: Flask) -> None:
    """Close an application's connections, and end its threads: one for each probe of TheEye, and one for durations."""
    services: Services = app.extensions[EXTENSION]
    services.health.stop()
    close_durations(services.durations)
    services.supervisor.transport.close()
    services.sessions._gateway.transport.close()


def close_durations(durations: Durations) -> None:
    """End the thread that merges them in Redis, for the sake of later tests with the same Redis."""
    if durations._merger is not None:
        durations._merger.stop()


def ask(client: FlaskClient, method: str, target: str, body: bytes = b"", **headers: str) -> TestResponse:
    """Send one request with acme's token; target and header values are sent as written, an empty header is left out.

    An underscore in a header's name means a hyphen.
    """
    sent = {"Authorization": "Bearer tok-acme", **headers}
    path, _, query = target.partition("?")
    environ = {"RAW_URI": target, "PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "QUERY_STRING": query}
    return client.open(
        method=method,
        data=body,
        headers={name.replace("_", "-"): value for name, value in sent.items() if value},
        environ_overrides=environ,
    )


def post(client: FlaskClient, target: str = JOB, body: bytes = RUN, **headers: str) -> TestResponse:
    """Run the task, and return the answer."""
    return ask(client, "POST", target, body, **{"Content_Type": "application/json", **headers})


def error_of(got: Response | RawResponse, status: int, code: str) -> dict[str, Any]:
    """Check an error's shape, CORS headers and that it shows no token and no stack trace; return its body."""
    if isinstance(got, RawResponse):
        got = Response(got.body, got.status_line.partition(" ")[2], got.headers)
    error: dict[str, Any] = got.get_json()
    assert (got.status_code, error["statusCode"], error["status"]) == (status, status, status), error
    assert error["code"] == code
    assert error["name"] == ("ClientError" if status < 500 else "ServerError")
    assert error["message"]
    assert got.headers["Access-Control-Allow-Origin"] == "*"
    for secret in ("tok-acme", "stack", "Traceback"):
        assert secret not in got.get_data(as_text=True)
    return error
