"""The request's body, made ready for the supervisor: the task's arguments, less what is not the caller's to set."""

import re
from typing import Any
from urllib.parse import parse_qsl

from app.api.query import NOT_THE_CALLERS, base_name
from app.errors import BadRequest, UnsupportedType
from formatters.jsontext import dumps, loads_body

_FIELDS = 1000
_DEPTH = 5
_ESCAPES = 1_000_000  # each costs most of a microsecond, and greenlets wait for each other
_KEYS = re.compile(r"\[([^\[\]]*)\]")


def for_supervisor(body: bytes, content_type: str) -> bytes | None:
    """JSON bytes to pass on, None for an empty body. Raises BadRequest or UnsupportedType."""
    if not body.strip():
        return None
    media_type, _, parameters = content_type.lower().partition(";")
    media_type = media_type.strip()
    if media_type == "application/x-www-form-urlencoded":
        return dumps(_form(body))
    if media_type not in ("", "application/json", "text/json") and not re.fullmatch(
        r"application/[\w.-]+\+json", media_type
    ):
        raise UnsupportedType("The body must be application/json or application/x-www-form-urlencoded")
    charset = re.search(r"charset\s*=\s*\"?([\w.:-]+)", parameters)
    if charset and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedType("The body must be UTF-8")
    return _json(body.removeprefix(b"\xef\xbb\xbf"))


def _json(body: bytes) -> bytes:
    """The body as it came, unless something has to be taken out of it."""
    value = _read(body)
    if not isinstance(value, dict | list):
        raise BadRequest("The body must be a JSON object or array")
    if isinstance(value, dict) and not NOT_THE_CALLERS.isdisjoint(value):
        return dumps({name: item for name, item in value.items() if name not in NOT_THE_CALLERS})
    return body


def _read(body: bytes) -> Any:
    try:
        return loads_body(body)
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    """What is wrong, without a word of the body itself."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error)


def _form(body: bytes) -> dict[str, Any]:
    """A form as the object that TheEye reads from it: `a=1&a=2`, `a[]=1` and `a[0]=1` are arrays."""
    if body.lstrip()[:1] in (b"{", b"["):
        raise BadRequest("The body looks like JSON: send it with Content-Type: application/json")
    if body.count(b"%") > _ESCAPES:
        raise BadRequest(f"The form has more than {_ESCAPES} escaped bytes: send JSON")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest(f"The body is not a form in UTF-8 of at most {_FIELDS} fields") from None
    form: dict[str, Any] = {}
    for name, text in fields:
        if base_name(name) not in NOT_THE_CALLERS:
            _put(form, name, text)
    arranged = {name: _arrays(value) for name, value in form.items()}
    arguments = arranged.get("task_arguments", [])
    return arranged if isinstance(arguments, list) else {**arranged, "task_arguments": [arguments]}


def _put(form: dict[str, Any], name: str, text: str) -> None:
    """Stores one field under its path of keys; a repeated field becomes a list."""
    head, bracket, _ = name.partition("[")
    path = [head, *_KEYS.findall(name)[:_DEPTH]] if head and bracket else [name]
    node = form
    for key in path[:-1]:
        below = node.setdefault(key or str(len(node)), {})
        if not isinstance(below, dict):
            raise BadRequest(f"The form's field {head!r} is both a value and an object")
        node = below
    last = path[-1] or str(len(node))
    if last not in node:
        node[last] = text
    elif isinstance(node[last], list):
        node[last].append(text)
    elif isinstance(node[last], str):
        node[last] = [node[last], text]
    else:
        raise BadRequest(f"The form's field {head!r} is both a value and an object")


def _arrays(value: Any) -> Any:
    """An object whose keys are all indexes becomes an array in their order."""
    if not isinstance(value, dict):
        return value
    inner = {name: _arrays(item) for name, item in value.items()}
    if inner and all(re.fullmatch(r"[0-9]{1,4}", name, re.ASCII) for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
