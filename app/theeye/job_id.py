"""Find a job's id in a document that cannot be parsed as JSON, because it costs too much or was not read whole."""

import re

HEAD = 1 << 16  # bytes of the beginning that are searched; `id` is TheEye's last field, `_id` would be the first
_TAIL = 1 << 12  # bytes of the end; fewer, since the search begins at each comma

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_PLAIN = rb"(?:%b|[^\s,:\[\]{}\"]++)" % _STRING  # a value that is no list and no object
_FIELD = rb"\s*+%b\s*+:\s*+%b\s*+" % (_STRING, _PLAIN)
_ID = rb'\s*+"_?id"\s*+:\s*+"([0-9A-Za-z_-]{1,100})"\s*+'

# Match only fields of the document itself: no bracket is between them and the beginning or end of the document.
_FIRST = re.compile(rb"\s*\{(?:%b,)*?%b[,}]" % (_FIELD, _ID), re.DOTALL)
_LAST = re.compile(rb"[{,]%b(?:,%b)*+\}\s*\Z" % (_ID, _FIELD), re.DOTALL)


def find_job_id(body: bytes) -> str | None:
    """Return the id among the document's first or last fields, or None."""
    found = _FIRST.match(body[:HEAD])
    if found is None and body.lstrip().startswith(b"{"):
        found = _LAST.search(body[-_TAIL:])
    return found[1].decode("ascii") if found else None
