"""Make the address of a job's answer, for `Location` and `result_url`: at this service, without a token."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from flask import request
from werkzeug.http import parse_list_header

from app.api.request import current_services
from app.setting_readers import AUTO
from app.telemetry.redaction import redact
from app.telemetry.tokens import names_token
from app.telemetry.wsgi import wsgi_text
from app.theeye.callers import Runnable

_HOST = re.compile(r"([a-z0-9_][a-z0-9_.-]*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)


def job_address(customer: str, runs: Runnable, job: str, mode: str) -> str:
    """Return the address of a job's answer, with the mode's query string; absolute if SYNC_PUBLIC_URL is set."""
    segments = map(partial(quote, safe="", errors="replace"), (customer, runs.kind, runs.id, "job", job))
    address = "/".join([_base(request.environ), *segments])
    if redact(mode) != mode:  # a client put a token there by mistake: keep the names, which select the mode
        mode = "&".join(piece.partition("=")[0] for piece in mode.split("&"))
    return f"{address}?{mode}" if mode else address


def _base(environ: Mapping[str, Any]) -> str:
    """Return the beginning of every address, before its path."""
    settings = current_services().settings
    if settings.public_url not in ("", AUTO):
        return settings.public_url
    origin = _origin(environ, settings.proxies) if settings.public_url == AUTO else ""
    return origin + _prefix(environ)


def _origin(environ: Mapping[str, Any], hops: int) -> str:
    """Return scheme and host from the headers of the trusted proxy, or an empty text if one is missing."""
    scheme, host = _forwarded(environ, "PROTO", hops).lower(), _forwarded(environ, "HOST", hops)
    return f"{scheme}://{host}" if scheme in ("http", "https") and _HOST.fullmatch(host) else ""


def _forwarded(environ: Mapping[str, Any], name: str, hops: int) -> str:
    values = parse_list_header(environ.get(f"HTTP_X_FORWARDED_{name}", ""))
    return values[-hops] if 0 < hops <= len(values) else ""


def _prefix(environ: Mapping[str, Any]) -> str:
    """Return the path that the service is mounted at, encoded so that it can lead to no other host or path."""
    prefix = wsgi_text(environ.get("SCRIPT_NAME", ""))
    if names_token(prefix):
        return ""
    return "".join(f"/{quote(part, safe='')}" for part in prefix.split("/") if part not in ("", ".", ".."))
