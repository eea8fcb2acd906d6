"""Answer `?response` and `?response=INDEX`: the job decides the whole HTTP answer.

The output is a JSON object `{"statusCode", "headers", "body", "isBase64Encoded"}`, or has such an object in
`"response"`. The service sends the content of the job from its own origin. So the job cannot set a header of the
service, and `formatters.rendering` adds `nosniff`, and a Content-Security-Policy if a browser could run the content.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from formatters.contract import JSON_TYPE, TEXT_TYPE, Answer, BadOutput, BadQuery, Context, Formatter
from formatters.hookspecs import hookimpl
from formatters.jsontext import dumps, loads
from formatters.modes.job_output import index_of, status_of, text_at
from formatters.rendering import CSP, NOSNIFF, is_token

_FIELDS = frozenset({"statusCode", "headers", "body", "isBase64Encoded"})
_OURS = frozenset(name.lower() for name, _ in (CSP, NOSNIFF))


class Response(Formatter):
    """Return the HTTP answer that the job's output describes."""

    name = "response"
    queries = ("response",)
    precedence = 250

    def check(self, query: Mapping[str, str]) -> None:
        """Raise BadQuery for an argument that is not an index."""
        try:
            index_of(query.get("response", ""))
        except ValueError as error:
            raise BadQuery(f"response: {error}") from None

    def format(self, context: Context) -> Answer:
        """Return the status, headers and body that the job describes. Raise BadOutput if it describes none."""
        described = _described(context)
        headers = _headers(described.get("headers"))
        given = next((headers.pop(name) for name in list(headers) if name.lower() == "content-type"), None)
        body, usual = _body(described.get("body"), described.get("isBase64Encoded"))
        headers[NOSNIFF[0]] = NOSNIFF[1]
        return Answer(body, _status(described, context), given or usual, headers)


def _described(context: Context) -> dict[str, Any]:
    try:
        value = loads(text_at(context, index_of(context.query.get("response", ""))))
    except (LookupError, TypeError) as error:
        raise BadOutput(str(error.args[0])) from None
    except ValueError:
        raise BadOutput("the job's output is not JSON") from None
    if isinstance(value, dict) and "response" in value:
        value = value["response"]
    if not isinstance(value, dict) or not _FIELDS & value.keys():
        raise BadOutput("the job's output is not a response: an object with statusCode, headers or body")
    return value


def _status(described: Mapping[str, Any], context: Context) -> int:
    code = described.get("statusCode")
    status = context.status if code is None else status_of(code)
    if status is None:
        raise BadOutput("statusCode is not a number from 200 to 599")
    return status


def _headers(given: Any) -> dict[str, str]:
    """Return the headers by name. Raise BadOutput for a header that only the service may set.

    A number becomes text, a list one line (RFC 9110, section 5.3); a header that is null is left out.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadOutput("headers is not an object")
    headers: dict[str, str] = {}
    for name, value in given.items():
        if name.lower() in _OURS:
            raise BadOutput(f"the header {name} is the service's own")
        values = [item for item in (value if isinstance(value, list) else [value]) if item is not None]
        if not is_token(name) or not all(isinstance(item, (str, int, float)) for item in values):
            raise BadOutput("headers must have a string, or a list of strings, for each header's name")
        if values:
            headers[name] = ", ".join(item if isinstance(item, str) else dumps(item).decode() for item in values)
    if len({name.lower() for name in headers}) != len(headers):
        raise BadOutput("headers gives a name twice")
    return headers


def _body(body: Any, encoded: Any) -> tuple[bytes | str, str]:
    """Return the body, and its content type for a job that names none."""
    if encoded is not None and not isinstance(encoded, bool):
        raise BadOutput("isBase64Encoded is not true or false")
    if encoded:
        return _decoded(body), "application/octet-stream"
    if body is None or isinstance(body, str):
        return body or "", TEXT_TYPE
    return dumps(body), JSON_TYPE


def _decoded(body: Any) -> bytes:
    try:
        return base64.b64decode(body or "", validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise BadOutput("body is not base64") from None


@hookimpl
def register_formatters() -> list[Formatter]:
    """Register the formatter of `?response`."""
    return [Response()]
