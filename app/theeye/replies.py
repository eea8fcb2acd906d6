"""Read TheEye's replies, which may contain anything: a proxy may have sent them."""

import re
from typing import Any

from app.errors import UNSET
from app.theeye.transport import Reply
from formatters.cost import TooCostly
from formatters.jsontext import loads_document

MAX_SHOWN_BYTES = 1 << 20  # a larger answer of TheEye is left out of the body of an error
MAX_SHOWN_DEPTH = 20

_STACK_LINES = re.compile(r"\n[^\S\n]+at .*")
_RETRY_AFTER = re.compile("[0-9]{1,9}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT")


def value_of(reply: Reply) -> Any:
    """Return the body as JSON, or None if it is not JSON or costs too much to parse."""
    try:
        return loads_document(reply.body)
    except (ValueError, TooCostly):
        return None


def message_of(reply: Reply) -> str:
    """Return the message of TheEye's error, or an empty text."""
    value = value_of(reply)
    message = value.get("message") if isinstance(value, dict) else value
    return message if isinstance(message, str) else ""


def shown_value(reply: Reply, token: str) -> Any:
    """Return TheEye's own answer for the `value` of an error, without the token and without stack traces.

    Return UNSET if the answer is not JSON, or larger than MAX_SHOWN_BYTES.
    """
    if len(reply.body) > MAX_SHOWN_BYTES:
        return UNSET
    body = reply.body.replace(token.encode(), b"***") if len(token) > 3 else b""
    try:
        return _without_stack(loads_document(body))
    except (ValueError, TooCostly):
        return UNSET


def retry_after(reply: Reply) -> str:
    """Return the value of Retry-After (RFC 9110, 10.2.3), or an empty text if it is missing or invalid."""
    value = (reply.headers.get("Retry-After") or "").strip()
    return value if _RETRY_AFTER.fullmatch(value) else ""


def _without_stack(value: Any, depth: int = 0) -> Any:
    """Return a value without stack traces; replace values nested deeper than MAX_SHOWN_DEPTH by None."""
    if depth > MAX_SHOWN_DEPTH:
        return None
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in ("stack", "trace")}
        return {name: _without_stack(item, depth + 1) for name, item in kept.items()}
    if isinstance(value, list):
        return [_without_stack(item, depth + 1) for item in value]
    return _STACK_LINES.sub("", value) if isinstance(value, str) else value
