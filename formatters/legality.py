"""From a formatter's answer to one that HTTP can carry: whatever it says, a response stays in one piece."""

import json
import re
from dataclasses import dataclass
from typing import Any

from formatters.contract import JSON_TYPE, Answer, BadAnswer
from formatters.headers import checked, defaults
from formatters.jsontext import dumps

_MEDIA_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+)[ \t]*(;[\t\x20-\x7e]*)?", re.I | re.ASCII)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.I)


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer that can be sent as it is."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as a JSON value."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The value of a header, whatever its case."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


def rendered(answer: object) -> Rendered:
    """The answer, ready to be sent. Raises BadAnswer where HTTP cannot carry it."""
    if not isinstance(answer, Answer):
        raise BadAnswer("it gave no Answer")
    status = answer.status
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise BadAnswer("its status is not a number from 200 to 599")
    content_type, body = _entity(answer.content_type, answer.body)
    headers = checked(answer.headers) if answer.headers else ()
    if content_type != JSON_TYPE:
        names = {name.lower() for name, _ in headers}
        headers += tuple(header for header in defaults(content_type) if header[0].lower() not in names)
    return Rendered(int(status), content_type, body, headers)


def _entity(content_type: Any, body: Any) -> tuple[str, bytes]:
    if content_type is None:
        return JSON_TYPE, _json(body)
    if content_type is not JSON_TYPE:
        content_type = _legal_type(content_type, isinstance(body, str))
    if isinstance(body, str):
        return content_type, _encoded(body)
    if not isinstance(body, bytes):
        raise BadAnswer("its body has a content type, but is neither text nor bytes")
    return content_type, body if type(body) is bytes else bytes(memoryview(body))


def _json(body: Any) -> bytes:
    try:
        return dumps(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadAnswer("its body is no JSON value") from error


def _encoded(body: str) -> bytes:
    try:
        return str.encode(body)
    except UnicodeEncodeError as error:
        raise BadAnswer("its body holds half a character (a lone surrogate)") from error


def _legal_type(content_type: Any, is_text: bool) -> str:
    """The content type; text is sent in UTF-8, and says so."""
    written = str.__str__(content_type) if isinstance(content_type, str) else ""
    found = _MEDIA_TYPE.fullmatch(written) if len(written) < 256 else None
    if found is None:
        raise BadAnswer("its content type is not TYPE/SUBTYPE")
    charset = _CHARSET.search(found[2] or "")
    if is_text and charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise BadAnswer("its body is text, which is sent in UTF-8, but its content type names another charset")
    wants_charset = is_text and charset is None and found[1].lower().startswith("text/")
    return f"{written}; charset=utf-8" if wants_charset else written
