"""Turn a formatter's answer into a legal HTTP answer, or refuse it.

A formatter cannot set a header that

- changes where the message or its head ends (RFC 9112), or belongs to one connection (RFC 9110, section 7.6.1),
- the service sets itself, or a proxy in front of it would act on,
- changes the whole origin: cookies, authentication, reporting, transport.

A body that is not JSON gets `nosniff`. A body that a browser could run gets a Content-Security-Policy too, unless the
formatter sets one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from formatters.contract import JSON_TYPE, Answer, BadAnswer, Context, Formatter
from formatters.cost import Budget
from formatters.jsontext import dumps

NOSNIFF = ("X-Content-Type-Options", "nosniff")
CSP = (
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox",
)
HEADER_BYTES = 8190  # the limit of all headers of a formatter; proxies accept little more

_CONNECTION = "connection keep-alive proxy-connection te trailer transfer-encoding upgrade http2-settings"
_SERVICE = "content-length content-type date etag server preference-applied www-authenticate"
_ORIGIN = (
    "set-cookie set-cookie2 clear-site-data strict-transport-security public-key-pins expect-ct alt-svc "
    "service-worker-allowed nel report-to reporting-endpoints origin-agent-cluster"
)
_PROXY = "status x-sendfile x-lighttpd-send-file x-litespeed-location"  # a proxy may act on these
REFUSED = frozenset(f"{_CONNECTION} {_SERVICE} {_ORIGIN} {_PROXY}".split())
REFUSED_PREFIXES = ("access-control-", "proxy-", "x-accel-", "x-job-", "x-request-id", "idempotency")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LOCATION = re.compile(r"(?:https?://(?=[^/?#])|(?![a-z][a-z0-9+.-]*:))[!#-;=?-\[\]_a-z~]*", re.I | re.ASCII)
_JSON = re.compile(r"application/json|[a-z]+/[^\s;]+\+json", re.I)
_PASSIVE = re.compile(
    r"text/(?:plain|csv|tab-separated-values)|image/(?!.*xml)(?!svg).+|(?:audio|video|font)/.+"
    r"|application/(?:pdf|zip|octet-stream|x-ndjson)",
    re.I,
)
_CONTENT_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+)[ \t]*(;[\t\x20-\x7e]*)?", re.I | re.ASCII)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.I)


@dataclass(frozen=True, slots=True)
class Rendered:
    """Hold an answer that is ready to be sent."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body as a JSON value."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None; ignore case."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


def answered(formatter: Formatter, context: Context) -> Rendered:
    """Return the formatter's answer to one request. Raise BadAnswer, TooCostly, and any error of the formatter."""
    with Budget():
        return rendered(formatter.format(context))


def rendered(answer: object) -> Rendered:
    """Return the answer, ready to be sent. Raise BadAnswer if HTTP cannot carry it."""
    if not isinstance(answer, Answer):
        raise BadAnswer("it did not return an Answer")
    status = answer.status
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise BadAnswer("its status is not a number from 200 to 599")
    content_type, body = _entity(answer.content_type, answer.body)
    headers = _legal_headers(answer.headers) if answer.headers else ()
    if content_type != JSON_TYPE:
        names = {name.lower() for name, _ in headers}
        headers += tuple(header for header in _browser_headers(content_type) if header[0].lower() not in names)
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
        raise BadAnswer("its body is not a JSON value") from error


def _encoded(body: str) -> bytes:
    try:
        return str.encode(body)
    except UnicodeEncodeError as error:
        raise BadAnswer("its body contains a lone surrogate, which UTF-8 cannot encode") from error


def _legal_type(content_type: Any, is_text: bool) -> str:
    """Return the content type, with a charset if the body is text. Raise BadAnswer."""
    written = str.__str__(content_type) if isinstance(content_type, str) else ""
    found = _CONTENT_TYPE.fullmatch(written) if len(written) < 256 else None
    if found is None:
        raise BadAnswer("its content type is not TYPE/SUBTYPE")
    charset = _CHARSET.search(found[2] or "")
    if is_text and charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise BadAnswer("its body is text, which is sent in UTF-8, but its content type names another charset")
    wants_charset = is_text and charset is None and found[1].lower().startswith("text/")
    return f"{written}; charset=utf-8" if wants_charset else written


def is_token(name: str) -> bool:
    """Return whether HTTP allows a header with this name."""
    return bool(_TOKEN.fullmatch(name))


def _legal_headers(given: Any) -> tuple[tuple[str, str], ...]:
    """Return the formatter's headers. Raise BadAnswer for one that it cannot set."""
    if not isinstance(given, Mapping):
        raise BadAnswer("its headers are not a mapping")
    headers = tuple(_legal_header(name, value) for name, value in given.items())
    if len({name.lower() for name, _ in headers}) != len(headers):
        raise BadAnswer("a header is given twice")
    if sum(len(name) + len(value) + 4 for name, value in headers) > HEADER_BYTES:
        raise BadAnswer(f"its headers are larger than {HEADER_BYTES} bytes")
    return headers


def _legal_header(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise BadAnswer("a header has a name that HTTP does not allow")
    name = str.__str__(name)
    if name.lower() in REFUSED or name.lower().startswith(REFUSED_PREFIXES):
        raise BadAnswer(f"the header {name[:60]} may not be set by a formatter")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise BadAnswer(f"the header {name[:60]} has a value that HTTP does not allow")
    if name.lower() in ("location", "content-location", "refresh") and not _is_location(name, value):
        raise BadAnswer(f"the header {name[:60]} is not an http(s) or relative address")
    return name, str.__str__(value)


def _is_location(name: str, value: str) -> bool:
    """Return whether a header's address is http(s) or relative; in a Refresh header it stands after `url=`."""
    if name.lower() == "refresh":
        value = re.sub(r"^\s*[0-9.]+\s*[;,]?\s*(?:url\s*=\s*)?", "", value, flags=re.I).strip("'\"")
    return bool(_LOCATION.fullmatch(value))


@lru_cache(256)
def _browser_headers(content_type: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that keep a browser from running the content, or from guessing another type for it."""
    media_type = content_type.partition(";")[0].strip()
    if _JSON.fullmatch(media_type):
        return ()
    return (NOSNIFF,) if _PASSIVE.fullmatch(media_type) else (NOSNIFF, CSP)
