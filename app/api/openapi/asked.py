"""OpenAPI: what a request can hold: path, query, headers, body, token."""

from collections.abc import Sequence
from typing import Any

from app.api.openapi.answers import chooses_status
from app.api.preferences import SECONDS
from formatters import Mode
from formatters.modes.job_output import INDEX
from formatters.modes.response import Response

Node = dict[str, Any]

_ID = "^[0-9a-fA-F]{24}$"
IN_PATH: Node = {
    "customer": {
        "description": "The customer's name, in its own upper and lower case, or the customer's id.",
        "schema": {"type": "string", "minLength": 1},
        "example": "acme",
    },
    "task": {
        "description": "The task's id.",
        "schema": {"type": "string", "pattern": _ID},
        "example": "61f3e937c38201da80f96c27",
    },
    "job": {
        "description": "The id of a job of this task.",
        "schema": {"type": "string", "pattern": _ID},
        "example": "61f42186c38201da80f9a001",
    },
}
# A preflight is answered whatever stands in the path.
ANY_PATH: Node = {name: {"schema": {"type": "string", "minLength": 1}} for name in IN_PATH}

_WAIT = {
    "name": "wait",
    "in": "query",
    "description": "Wait at most so many seconds; the shortest of this, `Prefer` and `SYNC_WAIT_SECONDS` counts.",
    "schema": {"type": "string", "pattern": f"^{SECONDS.pattern}$"},
    "example": "5",
}
_ON_DISCONNECT = {
    "name": "on_disconnect",
    "in": "query",
    "description": "`cancel`: cancel the job when the client hangs up. 400 together with an `Idempotency-Key`.",
    "schema": {"const": "cancel"},
}
_ARGUMENTS = {
    "name": "arguments",
    "in": "query",
    "description": "Any other name is passed on to the task; without a body the query is its arguments.",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeated request with this key gets the job of the first one. 501 without `SYNC_REDIS_URL`.",
    "schema": {"type": "string", "pattern": '^(?!""$)[!-~]{1,255}$'},
    "example": "order-4711",
}


def _header(name: str, description: str, example: str) -> Node:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}, "example": example}


_PREFER = _header(
    "Prefer",
    "`respond-async`: do not wait, but answer 202; `wait=SECONDS`: wait at most so long. Anything else is ignored.",
    "respond-async, wait=5",
)
_TRACED = [
    _header(
        "X-Request-Id",
        "Returned, written to the log and sent on to TheEye: 1 to 128 letters, digits and `._~:+/=@-`. Any other, and "
        "one that holds the token, is replaced.",
        "7d1f6c",
    ),
    _header(
        "traceparent",
        "W3C trace context, sent on to TheEye where it is valid.",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    _header("tracestate", "Sent on to TheEye together with a valid `traceparent`.", "vendor=1"),
]

_JSON_BODY: Node = {
    "description": "The array in `task_arguments`, or an array itself, holds the task's arguments; "
    "any other object is the one argument.",
    "anyOf": [
        {"type": "object", "properties": {"task_arguments": {"type": "array"}}},
        {"type": "array"},
    ],
}
BODY: Node = {
    "description": "The task's arguments, in UTF-8; any `application/…+json` counts as JSON.",
    "required": False,
    "content": {
        "application/json": {"schema": _JSON_BODY, "example": {"task_arguments": [100]}},
        "text/json": {"schema": _JSON_BODY},
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "description": "`a=1&a=2`, `a[]=1`, `a[0]=1` are arrays, `a[b]=1` is an object; at most 1000 fields.",
            },
            "example": {"task_arguments": ["100"]},
        },
    },
}


def of_run(modes: Sequence[Mode]) -> list[Node]:
    """What may go with a POST, besides its body."""
    return [*_of_modes(modes), _WAIT, _ON_DISCONNECT, _ARGUMENTS, _PREFER, _KEY, *_TRACED]


def of_read(modes: Sequence[Mode]) -> list[Node]:
    """What may go with a GET on a job."""
    return [*_of_modes(modes), _WAIT, _ON_DISCONNECT, _PREFER, *_TRACED]


def of_cancel(modes: Sequence[Mode]) -> list[Node]:
    """What may go with a DELETE; a mode is only kept for `Location`."""
    return of_read(modes)


def security_schemes(query_token: bool) -> Node:
    """How the token is sent: in one way, never in both."""
    schemes: Node = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of TheEye's: a session's or an integration's. Preferred.",
        }
    }
    if query_token:
        schemes["access_token"] = {
            "type": "apiKey",
            "in": "query",
            "name": "access_token",
            "description": "The same token in the query; URLs are written to logs.",
        }
    return schemes


def _of_modes(modes: Sequence[Mode]) -> list[Node]:
    """A parameter for each name that selects a mode, in the order in which they count."""
    return [
        {
            "name": query,
            "in": "query",
            "description": _described(mode),
            "allowEmptyValue": True,
            "schema": _value_of(mode),
            "example": "",
        }
        for mode in modes
        for query in mode.queries
    ]


def _value_of(mode: Mode) -> Node:
    if isinstance(mode.formatter, Response):
        return {"type": "string", "pattern": f"^({INDEX.pattern})?$"}
    return {"type": "string"}


def _described(mode: Mode) -> str:
    """The first line of the formatter's docstring, who makes the status, and what else selects the mode."""
    words = type(mode.formatter).__doc__
    first = words.strip().partition("\n")[0].rstrip(".") if isinstance(words, str) and words.strip() else mode.name
    status = "the job's or the mode's own, else by the job's state" if chooses_status(mode) else "by the job's state"
    types = ", ".join(f"`Accept: {media_type}`" for media_type in mode.media_types)
    return f"Mode `{mode.name}`: {first}. Status: {status}.{f' Also chosen by {types}.' if types else ''}"
