"""Parse multipart/form-data (RFC 7578), the format of HTML forms and `curl -F`: fields as text, files as `data:` URLs.

TheEye's agents write such a URL to a file with a random name. The original file name is dropped.
"""

import re
import time
from base64 import b64encode
from collections.abc import Iterator

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from app.errors import BadRequest

MAX_PARTS = 1000
MAX_HEADS = 1 << 20  # bytes outside of contents, mostly heads of parts: parsing heads takes long

_PIECE = 64 * 1024  # bytes parsed in one step
_PADDING = 80  # bytes that may follow a boundary on its line
_OTHER = "application/octet-stream"
_UNCHANGED = ("7bit", "8bit", "binary")  # of Content-Transfer-Encoding, which RFC 7578 (4.7) has given up
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1")
_MEDIA_TYPE = re.compile(r"[a-z0-9][\w.+-]*/[a-z0-9][\w.+-]*", re.ASCII | re.IGNORECASE)  # the form that agents accept


def read_parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return names and values in order. Raise BadRequest."""
    boundary = parse_options_header(content_type)[1].get("boundary")
    if not (boundary and boundary.isascii()):
        raise BadRequest("The form's Content-Type has no boundary in ASCII")
    try:
        return [_value(part, data) for part, data in _parts(body, boundary.encode("ascii"))]
    except RequestEntityTooLarge:
        raise BadRequest(f"The form has more than {MAX_PARTS} parts, or too long names and headers of parts") from None
    except UnicodeError:
        raise BadRequest("A name or a field of the form is not text in UTF-8") from None
    except ValueError:
        raise BadRequest("The form is damaged or cut off: its parts are not between the boundaries") from None


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[Field | File, bytes]]:
    """Yield each part's head and content, with werkzeug's decoder: werkzeug's parser loses the order of files."""
    data: list[bytes] = []
    for event in _events(body, boundary):
        if isinstance(event, Field | File):
            part, data = event, []
        elif isinstance(event, Data):
            data.append(event.data)
            if not event.more_data:
                yield part, b"".join(data)


def _events(body: bytes, boundary: bytes) -> Iterator[Event]:
    """Yield the decoder's events. Raise ValueError or RequestEntityTooLarge."""
    decoder, heads = MultipartDecoder(boundary, 2 * _PIECE, max_parts=MAX_PARTS), 0
    for piece in _pieces(body, b"--" + boundary):
        decoder.receive_data(piece)
        heads += len(piece)
        while not isinstance(event := decoder.next_event(), NeedData):
            heads -= len(event.data) if isinstance(event, Data) else 0
            yield event
        if heads > MAX_HEADS:
            raise RequestEntityTooLarge
        time.sleep(0)  # under gevent other requests go on here
    decoder.receive_data(None)
    while not isinstance(decoder.next_event(), Epilogue):
        pass


def _pieces(body: bytes, delimiter: bytes) -> Iterator[bytes]:
    """Cut a body into pieces, but not inside a delimiter: werkzeug 3.1 would read its first half as content."""
    start = 0
    while start < len(body):
        end = start + _PIECE
        found = body.rfind(delimiter, max(end - len(delimiter) - _PADDING, start + 1), end)
        end = found if found > start else end
        yield body[start:end]
        start = end


def _check(part: Field | File) -> None:
    """Raise BadRequest for a part without a name, and for one that would reach the task as something else."""
    if not part.name:
        raise BadRequest("A part of the form has no name")
    if part.headers.get("Content-Transfer-Encoding", "binary").strip().lower() not in _UNCHANGED:
        raise BadRequest("A part of the form has a Content-Transfer-Encoding: send its bytes as they are")
    if part.headers.get("Content-Type", "").strip().lower().startswith("multipart/"):
        raise BadRequest("A part of the form consists of parts itself: send each file as a part of the form")


def _value(part: Field | File, data: bytes) -> tuple[str, str]:
    _check(part)
    if isinstance(part, Field):
        return part.name, data.decode(_charset(part))
    if not (part.filename or data):  # the user chose no file in an HTML form
        return part.name, ""
    return part.name, f"data:{_media_type(part)};base64,{b64encode(data).decode()}"


def _charset(part: Field) -> str:
    """Return the charset of a field. Raise BadRequest for one that werkzeug's parser would take for UTF-8."""
    charset = parse_options_header(part.headers.get("Content-Type"))[1].get("charset", "utf-8").lower()
    if charset not in _CHARSETS:
        raise BadRequest("A field of the form has a charset other than UTF-8, US-ASCII and ISO-8859-1")
    return charset


def _media_type(part: File) -> str:
    """Return the file's media type without parameters; agents derive the extension of the file from it."""
    name = part.headers.get("Content-Type", "").partition(";")[0].strip()
    return name if _MEDIA_TYPE.fullmatch(name) else _OTHER
