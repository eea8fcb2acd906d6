"""Find the tokens in a request: in the header and query argument for them, and elsewhere by their names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from app.telemetry.text import is_visible
from app.telemetry.wsgi import wsgi_text

LONGEST = 8192  # characters of a token
ROUNDS = 6  # how often percent-encoding is undone; a text that was encoded more often is masked as a whole

_COMPOUND = r"(?:access[\W_]{0,3}|(?<![^\W_])(?:auth|id|refresh|session|api|integration)[_-]?)tokens?"
_NAMES = (
    rf"(?:{_COMPOUND}|authorization)(?:\[\w{{1,20}}\])*\W*[=:/;,|][^\w*]*(?:(?:bearer|basic|token)\W+)?"
    r"|bearer(?:[\s+:=,;\"']|\\t)+"
    r"|(?:tokens?|api[\W_]?key|jwt)\W{0,3}"
)
# A name as a segment of its own: a customer or an id may be called so, but then `task`, `workflow` or `job` follows.
_SEGMENT = r"(?:tokens?|bearer|basic|api[\W_]?key|jwt)/++"
_AS_CUSTOMER = rf"{_SEGMENT}(?!(?:task|workflow)(?:/|$))"
_AS_ID = rf"[^/]+/(?:task|workflow)/{_SEGMENT}(?!job(?:/|$))"
_ELSEWHERE = rf"[^/]+/(?:(?:task|workflow)/[^/]+/(?:.*/)?)?{_SEGMENT}"
_OWN_SEGMENT = rf"^/(?:{_AS_CUSTOMER}|{_AS_ID}|{_ELSEWHERE})"
# A customer may be called token-team or jwt.io.
_ANYWHERE = r"(?:tokens?|bearer|api[\W_]?key|jwt)[^\w/.-]+"
_IN_PATH = re.compile(
    rf"(?:{_COMPOUND}|authorization)\W+|{_ANYWHERE}|{_NAMES}[=:][^\w*]*|{_OWN_SEGMENT}", re.IGNORECASE
)
_WORDS = ("token", "authorization", "bearer", "basic", "key", "jwt")  # whatever `_IN_PATH` finds has one of them
_IN_MESSAGE = re.compile(rf"({_NAMES}(?:=[^\w*]*|:(?=\S)))[^&\s\"]+", re.IGNORECASE)  # not "Invalid token: expired"
_WORD = re.compile(r"[^\s\"']+")


def is_token(text: str) -> bool:
    """Return whether a text can be a bearer token (RFC 6750) in a header."""
    return 0 < len(text) <= LONGEST and is_visible(text)


def possible_tokens(environ: Mapping[str, Any]) -> tuple[str, ...]:
    """Return every text that may be a token of a request whose token was not read yet."""
    words = environ.get("HTTP_AUTHORIZATION", "").split()
    query = environ.get("QUERY_STRING", "")
    in_query: list[str] = []
    if "access_token" in query or "%" in query:  # most requests have neither
        pairs = parse_qsl(wsgi_text(query), keep_blank_values=True)
        in_query = [value for name, value in pairs if name == "access_token"]
    return (*(words[1:] or words), *in_query, *_in_path(environ.get("PATH_INFO", "")))


def mask(secrets: Iterable[str], text: str) -> str:
    """Return the text with every secret masked."""
    for secret in secrets:
        if secret and secret in text:
            text = text.replace(secret, "***")
    return text


def cut_path(path: str) -> str:
    """Return a path up to the first name of a token in it, also if the name is percent-encoded several times.

    The whole rest is masked: a token may contain a slash.
    """
    if has_no_name(path):
        return path
    decoded = _decode(path)
    if decoded is None:
        return "***"
    found = _IN_PATH.search(decoded)
    return path if found is None else f"{decoded[: found.end()]}***"


def has_no_name(text: str) -> bool:
    """Return whether `cut_path` surely changes no part of a text; the pattern takes up to ten times as long."""
    return text.isascii() and "%" not in text and not any(map(text.lower().__contains__, _WORDS))


def is_token_name(text: str) -> bool:
    """Return whether a text, such as a name in a JSON object, is the name of a token."""
    return names_token(f"{text}=")


def names_token(text: str) -> bool:
    """Return whether a text contains the name of a token that `cut_path` finds."""
    return cut_path(text) != text


def mask_named(text: str) -> str:
    """Mask every token after its name in a message, and the whole rest in a percent-encoded word or a path."""
    if "%" in text or "/" in text:
        text = _WORD.sub(lambda found: _cut_word(found[0]), text)
    return _IN_MESSAGE.sub(r"\1***", text)


def _cut_word(word: str) -> str:
    if "%" in word:
        return cut_path(word)
    path, mark, query = word.partition("?")
    return f"{cut_path(path)}{mark}{query}" if "/" in path else word


def _in_path(path: str) -> Iterator[str]:
    """Yield the text after each name of a token in a path: once the whole rest, once its first part."""
    decoded = _decode(path) or ""
    for found in _IN_PATH.finditer(decoded):
        rest = decoded[found.end() :]
        yield rest
        yield re.split(r"[^\w.~+=-]", rest, maxsplit=1)[0]


def _decode(text: str) -> str | None:
    """Undo percent-encoding until nothing changes; return None after ROUNDS."""
    for _ in range(ROUNDS):
        if "%" not in text or (decoded := unquote(text)) == text:
            return text
        text = decoded
    return None
