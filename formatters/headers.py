"""Which headers a formatter can set, and which it gets.

Refused are header lines that would end it early or frame it anew (RFC 9112), that belong to one connection (RFC 9110,
section 7.6.1), that the service sets itself, that a proxy in front would act on, and those with which one answer would
change the whole origin: cookies, authentication, reporting, transport. What is not JSON is served with `nosniff`, and
what a browser might run with a Content-Security-Policy, unless the formatter gives its own.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from formatters.contract import BadAnswer

NOSNIFF = ("X-Content-Type-Options", "nosniff")
CSP = (
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox",
)
HEADER_BYTES = 8190  # of all headers of a formatter; proxies take little more

_CONNECTION = "connection keep-alive proxy-connection te trailer transfer-encoding upgrade http2-settings"
_SERVICE = "content-length content-type date etag server preference-applied www-authenticate"
_ORIGIN = (
    "set-cookie set-cookie2 clear-site-data strict-transport-security public-key-pins expect-ct alt-svc "
    "service-worker-allowed nel report-to reporting-endpoints origin-agent-cluster"
)
_PROXY = "status x-sendfile x-lighttpd-send-file x-litespeed-location"  # a proxy would act on them
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


def is_token(name: str) -> bool:
    """Whether a header can have this name."""
    return bool(_TOKEN.fullmatch(name))


def checked(given: Any) -> tuple[tuple[str, str], ...]:
    """The headers as a formatter gives them. Raises BadAnswer for one that it cannot set."""
    if not isinstance(given, Mapping):
        raise BadAnswer("its headers are no mapping")
    headers = tuple(_legal_header(name, value) for name, value in given.items())
    if len({name.lower() for name, _ in headers}) != len(headers):
        raise BadAnswer("a header is there twice")
    if sum(len(name) + len(value) + 4 for name, value in headers) > HEADER_BYTES:
        raise BadAnswer(f"its headers are larger than {HEADER_BYTES} bytes")
    return headers


def _legal_header(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise BadAnswer("a header has no name that HTTP knows")
    name = str.__str__(name)
    if name.lower() in REFUSED or name.lower().startswith(REFUSED_PREFIXES):
        raise BadAnswer(f"the header {name[:60]} is not a formatter's to set")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise BadAnswer(f"the header {name[:60]} has a value that no header can have")
    if name.lower() in ("location", "content-location", "refresh") and not _is_location(name, value):
        raise BadAnswer(f"the header {name[:60]} is no http address")
    return name, str.__str__(value)


def _is_location(name: str, value: str) -> bool:
    """An http(s) address or one relative to the request; of a Refresh, what stands behind `url=`."""
    if name.lower() == "refresh":
        value = re.sub(r"^\s*[0-9.]+\s*[;,]?\s*(?:url\s*=\s*)?", "", value, flags=re.I).strip("'\"")
    return bool(_LOCATION.fullmatch(value))


@lru_cache(256)
def defaults(content_type: str) -> tuple[tuple[str, str], ...]:
    """The headers that keep a browser from making more of the content than its type says."""
    media_type = content_type.partition(";")[0].strip()
    if _JSON.fullmatch(media_type):
        return ()
    return (NOSNIFF,) if _PASSIVE.fullmatch(media_type) else (NOSNIFF, CSP)
