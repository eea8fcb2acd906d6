"""OpenAPI: the headers of the answers."""

from collections.abc import Iterable, Mapping
from typing import Any

Node = dict[str, Any]

_CORS = (
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
)
_ANSWER = ("Vary", "Access-Control-Expose-Headers", "X-Request-Id", "Server-Timing")

HEADERS: Mapping[str, tuple[str, Node]] = {
    "Access-Control-Allow-Origin": ("The request's `Origin` where it is allowed, `*` where there is none.", {}),
    "Access-Control-Allow-Methods": ("The same on every answer.", {}),
    "Access-Control-Allow-Credentials": ("The same on every answer.", {"const": "true"}),
    "Access-Control-Allow-Headers": ("Preflights also get this service's own request headers.", {}),
    "Access-Control-Expose-Headers": ("With an `Origin` that is allowed: what its page may read.", {}),
    "Allow": ("The methods that the path has.", {"pattern": "^[A-Z]+(, [A-Z]+)*$"}),
    "Cache-Control": ("On every answer to GET and HEAD.", {"const": "no-store"}),
    "Content-Security-Policy": ("On what a browser might run: it lets it run nothing.", {}),
    "ETag": ("Weak: length and hash of the body.", {"pattern": '^W/"[0-9a-f]+-[A-Za-z0-9+/]{27}"$'}),
    "Idempotency-Replayed": ("The job is that of an earlier request with this key.", {"const": "true"}),
    "Location": ("Where the answer can be fetched, with the mode and without the token.", {"minLength": 1}),
    "Preference-Applied": ("What of `Prefer` counted.", {"minLength": 1}),
    "Retry-After": ("Seconds after which it makes sense to try again.", {"pattern": "^[0-9]+$"}),
    "Server-Timing": ("Where the time went, in milliseconds: `session;dur=0.1, create;dur=2.0`.", {"minLength": 1}),
    "Vary": ("`Origin`, with an `Origin`; a mode may name more.", {"minLength": 1}),
    "WWW-Authenticate": ("With 401.", {"const": "Bearer"}),
    "X-Content-Type-Options": ("On what is not JSON.", {"const": "nosniff"}),
    "X-Job-Id": ("The job's id, once it exists.", {"pattern": "^[!-~]{1,100}$"}),
    "X-Job-Lifecycle": ("How the job ended: `finished`, `terminated`, `canceled`, …", {"pattern": "^[!-~]{1,100}$"}),
    "X-Job-State": (
        "The ended job's state: `success`, `failure`, `canceled`, `timeout`, or a word of its own.",
        {"pattern": "^[!-~]{1,100}$"},
    ),
    "X-Request-Id": ("The request's own, or one that was made for it.", {"pattern": "^[!-~]+$"}),
}


def _header(name: str, required: bool) -> Node:
    words, schema = HEADERS[name]
    return {"description": words, "schema": {"type": "string", **schema}} | ({"required": True} if required else {})


def components(any_origin: bool) -> Node:
    """All headers, for references; required are those that stand on every answer that names them."""
    required = {*_CORS, "Cache-Control", "X-Request-Id"} - (set() if any_origin else {"Access-Control-Allow-Origin"})
    return {name: _header(name, name in required) for name in HEADERS}


def headers(method: str, always: Iterable[str], sometimes: Iterable[str]) -> Node:
    """Those of one answer, besides what all have in common."""
    cached = ("Cache-Control",) if method == "GET" else ()
    named = {*_CORS, *_ANSWER, *cached, *sometimes} - set(always)
    nodes = {name: {"$ref": f"#/components/headers/{name}"} for name in named}
    return dict(sorted((nodes | {name: _header(name, required=True) for name in always}).items()))
