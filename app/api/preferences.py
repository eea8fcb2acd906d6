"""Read how long a client wants to wait: `?wait=N` and `Prefer: wait=N, respond-async` (RFC 7240)."""

import re
from typing import NamedTuple
from urllib.request import parse_http_list

from werkzeug.http import parse_options_header, unquote_header_value

from app.api.query import Query
from app.errors import BadRequest

WAIT_PATTERN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class Budget(NamedTuple):
    """Hold the seconds that a request may wait; `at_once` means that it does not wait at all."""

    seconds: float
    respond_async: bool = False
    waits_by_header: bool = False
    at_once: bool = False

    def applied(self, accepted: bool) -> str | None:
        """Return the value of Preference-Applied: the preferences that were used; None if there are none."""
        parts = ["respond-async"] if self.respond_async and accepted else []
        if self.waits_by_header:
            parts.append(f"wait={self.seconds:g}")
        return ", ".join(parts) or None


def read_budget(query: Query, prefer: str | None, most: float) -> Budget:
    """Return the shortest of `most`, `?wait` and the header's wait. Raise BadRequest for an invalid `?wait`."""
    asked = query.first.get("wait")
    if asked is None and not prefer:
        return Budget(most)
    if asked is not None and not WAIT_PATTERN.fullmatch(asked):
        raise BadRequest("wait must be a number of seconds, with three decimals at the most")
    preferred = _preferences(prefer) if prefer else {}
    by_header = preferred.get("wait", "")
    header_wait = float(by_header) if _SECONDS.fullmatch(by_header) else None
    waits = [float(wait) for wait in (asked, header_wait) if wait is not None]
    return Budget(
        seconds=min([most, *waits]),
        respond_async="respond-async" in preferred,
        waits_by_header=header_wait is not None,
        at_once="respond-async" in preferred and not waits,
    )


def cancels_on_disconnect(query: Query, idempotency_key: str | None) -> bool:
    """Return whether the query has `on_disconnect=cancel`. Raise BadRequest for another value, or if there is a key."""
    asked = query.first.get("on_disconnect")
    if asked is None:
        return False
    if asked != "cancel":
        raise BadRequest("on_disconnect can only be cancel")
    if idempotency_key is not None:
        raise BadRequest("on_disconnect=cancel does not work with an Idempotency-Key: others may wait for the same job")
    return True


def _preferences(header: str) -> dict[str, str]:
    """Return the preferences by lower-case name; of two with the same name use the first (RFC 7240, section 2)."""
    found: dict[str, str] = {}
    for item in parse_http_list(header):  # werkzeug's parse_list_header would accept a quoted `"wait=5"`
        preference, _ = parse_options_header(item)
        name, _, value = preference.partition("=")
        found.setdefault(name.strip().lower(), unquote_header_value(value.strip()))
    return found
