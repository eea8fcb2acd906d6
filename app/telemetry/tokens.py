"""Find tokens in what a request carries: by where they belong, and by their names where they do not belong."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from app.telemetry.wsgi import wsgi_text

ROUNDS = 6  # of percent-encoding that are undone; what is encoded more often is not shown at all

_COMPOUND = r"(?:access[\W_]{0,3}|(?<![^\W_])(?:auth|id|refresh|session|api|integration)[_-]?)tokens?"
_NAMES = (
    rf"(?:{_COMPOUND}|authorization)\W*[=:/;,|][^\w*]*(?:(?:bearer|basic|token)\W+)?"
    r"|bearer(?:[\s+:=,;\"']|\\t)+"
    r"|(?:tokens?|api[\W_]?key|jwt)\W{0,3}"
)
_BELOW_TASK = (
    r"^/[^/]+/task/[^/]+/(?:.*/)?(?:tokens?|bearer|basic|api[\W_]?key|jwt)/+"  # where no route has such a name
)
_IN_PATH = re.compile(rf"(?:{_COMPOUND}|authorization)\W+|token\s+|{_NAMES}[=:][^\w*]*|{_BELOW_TASK}", re.IGNORECASE)
_IN_MESSAGE = re.compile(rf"({_NAMES}(?:=[^\w*]*|:(?=\S)))[^&\s\"]+", re.IGNORECASE)  # not "Invalid token: expired"
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_WORD = re.compile(r"[^\s\"']+")


def is_token(text: str) -> bool:
    """Return whether a text can be a bearer token (RFC 6750): a header can carry it."""
    return _TOKEN.fullmatch(text) is not None


def possible_tokens(environ: Mapping[str, Any]) -> tuple[str, ...]:
    """Return whatever in a request may be a token, before anybody has read it."""
    words = environ.get("HTTP_AUTHORIZATION", "").split()
    query = environ.get("QUERY_STRING", "")
    in_query: list[str] = []
    if "access_token" in query or "%" in query:  # most requests need no second look
        pairs = parse_qsl(wsgi_text(query), keep_blank_values=True)
        in_query = [value for name, value in pairs if name == "access_token"]
    return (*(words[1:] or words), *in_query, *_in_path(environ.get("PATH_INFO", "")))


def mask(secrets: Iterable[str], text: str) -> str:
    """Return the text with every secret replaced."""
    for secret in secrets:
        if secret and secret in text:
            text = text.replace(secret, "***")
    return text


def cut_path(path: str) -> str:
    """Return a path up to the first name of a token in it, however often that is percent-encoded.

    All that follows is cut: a token may hold a slash.
    """
    decoded = _decode(path)
    if decoded is None:
        return "***"
    found = _IN_PATH.search(decoded)
    return path if found is None else f"{decoded[: found.end()]}***"


def is_token_name(text: str) -> bool:
    """Return whether a text is the name of a token, as the names in a JSON object may be."""
    return names_token(f"{text}=")


def names_token(text: str) -> bool:
    """Return whether a text as cut_path reads it names a token."""
    return cut_path(text) != text


def mask_named(text: str) -> str:
    """Return a message with every token replaced that follows its name; of an encoded word the rest is cut."""
    if "%" in text:
        text = _WORD.sub(lambda found: cut_path(found[0]) if "%" in found[0] else found[0], text)
    return _IN_MESSAGE.sub(r"\1***", text)


def _in_path(path: str) -> Iterator[str]:
    """Find what follows each name of a token in a path: all of it, and its first part."""
    decoded = _decode(path) or ""
    for found in _IN_PATH.finditer(decoded):
        rest = decoded[found.end() :]
        yield rest
        yield re.split(r"[/&;,\s]", rest, maxsplit=1)[0]


def _decode(text: str) -> str | None:
    """Undo every percent-encoding; None where one stands in another more than ROUNDS deep."""
    for _ in range(ROUNDS):
        if "%" not in text or (decoded := unquote(text)) == text:
            return text
        text = decoded
    return None
