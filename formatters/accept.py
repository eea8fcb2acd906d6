"""Read the `Accept` header (RFC 9110, section 12.5.1): does the caller want one of a plugin's media types?"""

from collections.abc import Iterable

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

JSON = "application/json"


def preferred(accept: str, media_types: Iterable[str]) -> str | None:
    """Return the media type that is wanted most, of several the first; None where that is JSON, the default.

    Of two that are wanted as much the one that is named goes before one that a range like `*/*` stands for.
    """
    ranges = MIMEAccept((media_range.partition(";")[0], q) for media_range, q in parse_accept_header(accept))
    best = ranges.best_match([JSON, *media_types])
    return None if best == JSON else best
