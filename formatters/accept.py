"""The `Accept` header (RFC 9110, section 12.5.1): does the caller want one of a plugin's media types?"""

import re
from collections.abc import Iterable

_QUALITY = re.compile(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.I | re.ASCII)


def preferred(accept: str, media_types: Iterable[str]) -> str | None:
    """The media type of highest quality, of several the first; None where JSON, the default, is wanted as much.

    JSON that is only meant by `*/*` gives way to a type that is named and wanted as much.
    """
    ranges = _qualities(accept)
    json, anything = _quality(ranges, "application/json"), ranges.get("*/*", 0.0)
    wanted = {media_type: _quality(ranges, media_type) or 0.0 for media_type in media_types}
    best = max(wanted, key=lambda media_type: wanted[media_type], default="")
    quality = wanted.get(best, 0.0)
    enough = quality >= anything if json is None else quality > json
    return best if quality > 0 and enough else None


def _qualities(accept: str) -> dict[str, float]:
    """The media ranges in lower case with their q; one whose q cannot be read counts as not wanted."""
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        media_range, *parameters = part.split(";")
        weight = next((parameter for parameter in parameters if parameter.strip()[:1] in ("q", "Q")), None)
        read = _QUALITY.fullmatch(weight) if weight is not None else None
        ranges[media_range.strip().lower()] = float(read[1]) if read else float(weight is None)
    return ranges


def _quality(ranges: dict[str, float], media_type: str) -> float | None:
    """By the most specific range that names it, never by `*/*`; None where there is none."""
    return ranges.get(media_type, ranges.get(f"{media_type.partition('/')[0]}/*"))
