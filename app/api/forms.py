"""Parse a form as TheEye does (with qs): `a=1&a=2`, `a[]=1` and `a[0]=1` are arrays, `a[b]=1` is an object."""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote_to_bytes

from app.api.query import BLOCKED_NAMES, SERVICE_NAMES, base_name
from app.errors import BadRequest

MAX_FIELDS = 1000
MAX_DEPTH = 5  # levels of nested objects; deeper keys are ignored
MAX_ESCAPES = 1_000_000  # decoding one takes almost a microsecond, in which no other greenlet runs

_PIECE = 64 * 1024  # bytes
_RESERVED = BLOCKED_NAMES | SERVICE_NAMES
_KEYS = re.compile(r"\[([^\[\]]*)\]")


def read_form(body: bytes) -> dict[str, Any]:
    """Return the fields of a form as one object, without the reserved names. Raise BadRequest."""
    if body.lstrip()[:1] in (b"{", b"["):
        raise BadRequest("The body looks like JSON: send it with Content-Type: application/json")
    if body.count(b"%") > MAX_ESCAPES:
        raise BadRequest(f"The form has more than {MAX_ESCAPES} escaped bytes: send JSON")
    try:
        fields = _fields(body)
    except ValueError:
        raise BadRequest(f"The body is not a form in UTF-8 of at most {MAX_FIELDS} fields") from None
    return arranged(fields)


def arranged(fields: Collection[tuple[str, str]]) -> dict[str, Any]:
    """Arrange fields to one object, without the reserved names in any spelling. Raise BadRequest."""
    form: dict[str, Any] = {}
    names = {name for name, _ in fields}
    for name, text in fields:
        if base_name(name) not in _RESERVED:
            both = name.removesuffix("[]")  # `a=1&a[]=2` is an array as well
            _put(form, both if both in names else name, text)
    found = {name: _arrays(value) for name, value in form.items()}
    arguments = found.get("task_arguments", [])
    if not isinstance(arguments, list):  # TheEye needs a list, also for a single argument
        found["task_arguments"] = [arguments]
    return found


def _fields(body: bytes) -> list[tuple[str, str]]:
    """Return names and values. Raise ValueError for too many fields, and for text that is not UTF-8.

    `urllib.parse.parse_qsl` would do the same, but its `unquote` takes 200 bytes of memory for each escape.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise ValueError("too many fields")
    pairs = (field.partition(b"=") for field in body.replace(b"+", b" ").split(b"&") if field)
    return [(_unquoted(name), _unquoted(text)) for name, _, text in pairs]


def _unquoted(text: bytes) -> str:
    """Decode a text in pieces; no piece ends inside an escape."""
    pieces, start = [], 0
    while start < len(text):
        end = start + _PIECE
        while end < len(text) and b"%" in text[end - 2 : end]:
            end += 1
        pieces.append(unquote_to_bytes(text[start:end]))
        start = end
    return b"".join(pieces).decode()


def _put(form: dict[str, Any], name: str, text: str) -> None:
    """Store one field under its path of keys; a repeated field becomes a list."""
    head, bracket, _ = name.partition("[")
    path = [head, *_KEYS.findall(name)[:MAX_DEPTH]] if head and bracket else [name]
    node = form
    for key in path[:-1]:
        node = node.setdefault(key or str(len(node)), {})
        if not isinstance(node, dict):
            raise _both(head)
    last = path[-1] or str(len(node))
    known = node.get(last)
    if isinstance(known, dict):
        raise _both(head)
    if known is None:
        node[last] = text
    else:
        node[last] = [*known, text] if isinstance(known, list) else [known, text]


def _both(name: str) -> BadRequest:
    return BadRequest(f"The form's field {name[:80]!r} is both a value and an object")


def _arrays(value: Any) -> Any:
    """Turn each object whose keys are all indexes into an array, in the order of the indexes."""
    if not isinstance(value, dict):
        return value
    inner = {name: _arrays(item) for name, item in value.items()}
    if inner and all(re.fullmatch(r"[0-9]{1,4}", name, re.ASCII) for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
