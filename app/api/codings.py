"""Decode the Content-Encoding of a request's body, as the original's Express does; decode raw deflate, too."""

from app.errors import BadRequest, TooLarge, UnsupportedCoding
from app.theeye.codings import CODINGS, inflated


def decode(body: bytes, header: str, most: int) -> bytes:
    """Return the decoded body. Raise UnsupportedCoding, TooLarge, or BadRequest for broken data."""
    if not header:
        return body
    named = [name.strip().lower() for name in header.split(",")]
    codings = [name for name in named if name not in ("", "identity")]
    if not body or not codings:
        return body
    if len(codings) > 1 or codings[0] not in CODINGS:
        raise UnsupportedCoding("The body must be in no Content-Encoding, or in one: gzip or deflate")
    try:
        _measure(body, codings[0], most)
        return b"".join(inflated(body, codings[0]))
    except ValueError as error:
        raise BadRequest(f"The body is {error}") from None


def _measure(body: bytes, coding: str, most: int) -> None:
    """Raise TooLarge if the decoded body is larger. Decode it piece by piece: a large body never is in memory."""
    size = 0
    for piece in inflated(body, coding):
        size += len(piece)
        if size > most:
            raise TooLarge(f"The body is larger than {most} bytes after decompression")
