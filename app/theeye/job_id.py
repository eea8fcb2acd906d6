"""Find a job's id in a document that is not read as JSON: it costs too much, or has more bytes than are read."""

import re

HEAD = 1 << 16  # bytes; `id` is TheEye's last field, `_id` would be the first one
_TAIL = 1 << 12  # fewer: each comma in it may begin the last fields

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_PLAIN = rb"(?:%b|[^\s,:\[\]{}\"]++)" % _STRING  # neither a list nor an object
_FIELD = rb"\s*+%b\s*+:\s*+%b\s*+" % (_STRING, _PLAIN)
_ID = rb'\s*+"_?id"\s*+:\s*+"([0-9A-Za-z_-]{1,100})"\s*+'

# Only fields of the document itself: nothing is opened between its beginning or end and them.
_FIRST = re.compile(rb"\s*\{(?:%b,)*?%b[,}]" % (_FIELD, _ID), re.DOTALL)
_LAST = re.compile(rb"[{,]%b(?:,%b)*+\}\s*\Z" % (_ID, _FIELD), re.DOTALL)


def find_job_id(body: bytes) -> str | None:
    """Return the id among the document's first or last fields; None where there is none."""
    found = _FIRST.match(body[:HEAD])
    if found is None and body.lstrip().startswith(b"{"):
        found = _LAST.search(body[-_TAIL:])
    return found[1].decode("ascii") if found else None
