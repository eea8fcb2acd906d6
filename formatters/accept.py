"""Choose a media type by the `Accept` header (RFC 9110, section 12.5.1)."""

from collections.abc import Iterable

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

JSON = "application/json"


def preferred(accept: str, media_types: Iterable[str]) -> str | None:
    """Return the media type with the highest quality, or None if that is JSON, the default.

    With equal quality, a type that the header names wins over one that matches only a range such as `*/*`. If that
    does not decide either, the first of `media_types` wins.
    """
    ranges = MIMEAccept((media_range.partition(";")[0], q) for media_range, q in parse_accept_header(accept))
    best = ranges.best_match([JSON, *media_types])
    return None if best == JSON else best
