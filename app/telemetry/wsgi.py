"""Read texts from a WSGI environ (PEP 3333)."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_AUTHORITY = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)


def wsgi_text(text: str) -> str:
    """Decode a WSGI text as UTF-8; WSGI decodes it as Latin-1."""
    return text if text.isascii() else text.encode("latin-1", "replace").decode("utf-8", "replace")


def raw_path(environ: Mapping[str, Any]) -> str:
    """Return the path before decoding, or an empty string if the WSGI host hides it. Decoding turns `%2F` into `/`."""
    raw: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    path = raw.partition("?")[0]
    return path if path.startswith("/") else _AUTHORITY.sub("", path)
