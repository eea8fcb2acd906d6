"""Convert a request's body to the JSON for the supervisor: the task's arguments, without the blocked names."""

import re
import sys
from codecs import BOM_UTF8
from typing import Any

from app.api.forms import arranged, read_form
from app.api.multipart import read_parts
from app.api.query import BLOCKED_NAMES, Query, base_name
from app.errors import BadRequest, TooLarge, UnsupportedType
from formatters.cost import TooCostly
from formatters.jsontext import TooLong, dumps, loads_body

_JSON_TYPE = re.compile(r"(application/json|text/json|application/[\w.-]+\+json)?")  # a missing type counts as JSON
_NO_ARGUMENTS = BLOCKED_NAMES | {"access_token"}  # a second token: TheEye would refuse the request (RFC 6750, 2)
_ID = re.compile("[0-9a-fA-F]{24}")
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)")


def for_supervisor(body: bytes, content_type: str, most: int = sys.maxsize) -> bytes | None:
    """Return the JSON to pass on, at most `most` bytes, or None for an empty body.

    Raise BadRequest, TooLarge or UnsupportedType.
    """
    if not body.strip():
        return None
    try:
        return _json_of(body, content_type, most)
    except TooLong:
        raise TooLarge(f"The body as JSON is larger than {most} bytes (a file grows by a third in it)") from None


def first_tasks(body: bytes | None, query: Query) -> list[str]:
    """Return the ids of the tasks with which a workflow may begin, since body or query (as `task`) names them."""
    value = loads_body(body) if body is not None else None
    named = [value.get("task")] if isinstance(value, dict) else []
    in_query = [text for name, text in query.pairs if base_name(name) == "task"]
    if len(in_query) == 1:  # TheEye gets several as an array, and refuses that
        named += in_query
    return [task for task in named if isinstance(task, str) and _ID.fullmatch(task)]


def _json_of(body: bytes, content_type: str, most: int) -> bytes:
    media_type, _, parameters = content_type.lower().partition(";")
    if media_type.strip() == "application/x-www-form-urlencoded":
        return dumps(read_form(body), most)
    if media_type.strip() == "multipart/form-data":
        return dumps(arranged(read_parts(body, content_type)), most)
    if not _JSON_TYPE.fullmatch(media_type.strip()):
        raise UnsupportedType(
            "The body must be application/json, application/x-www-form-urlencoded or multipart/form-data"
        )
    charset = _CHARSET.search(parameters)
    if charset and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedType("The body must be UTF-8")
    return _json(body.removeprefix(BOM_UTF8), most)


def _json(body: bytes, most: int) -> bytes:
    """Return the body unchanged, or without the blocked names if it has any."""
    value = _read(body)
    if not isinstance(value, dict | list):
        raise BadRequest("The body must be a JSON object or array")
    if isinstance(value, dict) and not _NO_ARGUMENTS.isdisjoint(value):
        return dumps({name: item for name, item in value.items() if name not in _NO_ARGUMENTS}, most)
    return body


def _read(body: bytes) -> Any:
    try:
        return loads_body(body)
    except TooCostly:
        raise TooLarge("The body has too many values for its size") from None
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    """Return what is wrong, without quoting the body."""
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
