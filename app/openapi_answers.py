"""OpenAPI: what can come back, by status: the modes' answers, the errors, and the headers of both."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app import openapi_errors, openapi_schemas
from app.errors import SyncError, Unauthorized
from app.http import status_line
from app.openapi_schemas import ref
from formatters import Mode
from formatters.full import Full
from formatters.output import Output
from formatters.parse import Parse
from formatters.result import Result

Node = dict[str, Any]

JSON = "application/json"
ANY_TYPE = "*/*"

_CORS = (
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
)
_ANSWER = ("Vary", "Access-Control-Expose-Headers", "X-Request-Id", "Server-Timing")
_JOB = ("X-Job-Id", "X-Job-Lifecycle", "X-Job-State", "Preference-Applied", "Idempotency-Replayed")
_GUARDS = ("X-Content-Type-Options", "Content-Security-Policy")

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


def mode_schema(mode: Mode) -> str:
    """The schema of a mode's JSON."""
    shapes = ((Output, "Output"), (Parse, "Parsed"), (Full, "Job"), (Result, "Result"))
    return next((name for kind, name in shapes if isinstance(mode.formatter, kind)), "FromTheJob")


def chooses_status(mode: Mode) -> bool:
    """Whether the job, or a plugin, may choose the status; else the job's state decides."""
    return not isinstance(mode.formatter, (Output, Full, Result))


class Answers:
    """All answers, under the modes that there are."""

    def __init__(self, modes: Sequence[Mode], any_origin: bool) -> None:
        """`any_origin`: every answer has Access-Control-Allow-Origin."""
        self._modes = modes
        self._choosing = [mode for mode in modes if chooses_status(mode)]
        self._required = {*_CORS, "Cache-Control", "X-Request-Id"} - (
            set() if any_origin else {"Access-Control-Allow-Origin"}
        )

    def headers(self) -> Node:
        """All headers, for references; those are required that stand wherever they are named."""
        return {name: _header(name, name in self._required) for name in HEADERS}

    def of_job(self, examples: Iterable[SyncError], method: str) -> Node:
        """A job's answer in any mode, and what can go wrong; the ranges are what a job chose by itself."""
        errors = _by_status(examples)
        statuses: set[int | str] = {200, 500, *errors}
        if self._choosing:
            statuses |= {"2XX", "3XX", "4XX", "5XX"}
        if method == "POST":
            statuses.add("4XX")
            errors["4XX"] = [openapi_errors.REFUSED]
        by_key = sorted(statuses, key=str)
        return {str(status): self._of_job(status, errors.get(status, []), method) for status in by_key}

    def of_cancel(self, examples: Iterable[SyncError]) -> Node:
        """The answers to DELETE on a job."""
        errors = _by_status(examples)
        cancelled = self._headers("DELETE", ("X-Job-Id",), _JOB)
        nodes: Node = {"204": {"description": "The job is cancelled.", "headers": cancelled}}
        for status, found in errors.items():
            nodes[str(status)] = self._failed(status, found, "DELETE")
        return dict(sorted(nodes.items()))

    def of_page(self, schemas: Mapping[int, str]) -> Node:
        """The answers of a page about the service."""
        nodes = {
            str(status): {
                "description": openapi_schemas.SCHEMAS[name]["description"],
                "headers": self._headers("GET", ("ETag",), ()),
                "content": {JSON: {"schema": ref(name)}},
            }
            for status, name in schemas.items()
        }
        return dict(sorted((nodes | {"500": self._failed(500, [openapi_errors.CRASHED], "GET")}).items()))

    def of_preflight(self) -> Node:
        """The answer to OPTIONS."""
        return {"204": {"description": "Go ahead.", "headers": self._headers("OPTIONS", (), ())}}

    def of_other_methods(self) -> Node:
        """What a path answers to a method that it does not have."""
        return {"MethodNotAllowed": self._failed(405, [openapi_errors.OTHER_METHOD], "POST")}

    def _of_job(self, status: int | str, errors: Sequence[SyncError], method: str) -> Node:
        modes = self._modes if status in (200, 500) else self._choosing
        if not modes:
            return self._failed(status, errors, method)
        schemas = [ref(name) for name in dict.fromkeys(map(mode_schema, modes))]
        body = {
            "schema": _any_of([*schemas, *_error_schemas(status, errors)]),
            "examples": _examples(status, modes) | _error_examples(errors),
        }
        content = {JSON: {name: part for name, part in body.items() if part}}
        if any(mode_schema(mode) == "FromTheJob" for mode in modes):
            declared = [media_type for mode in modes for media_type in mode.media_types]
            content |= {media_type: {"schema": ref("FromTheJob")} for media_type in [*declared, ANY_TYPE]}
        own, ended = _of_errors(errors)
        always = ("ETag",) if status in (200, 500) else ()
        headers = self._headers(method, always, (*_JOB, *_GUARDS, "ETag", *own, *ended))
        return {"description": _described(status, errors, of_job=True), "headers": headers, "content": content}

    def _failed(self, status: int | str, errors: Sequence[SyncError], method: str) -> Node:
        always, sometimes = _of_errors(errors)
        about_job = _JOB if any(error.status != 405 and error is not openapi_errors.CRASHED for error in errors) else ()
        return {
            "description": _described(status, errors),
            "headers": self._headers(method, ("ETag", *always), (*about_job, *sometimes)),
            "content": {JSON: {"schema": _any_of(_error_schemas(status, errors)), "examples": _error_examples(errors)}},
        }

    def _headers(self, method: str, always: Iterable[str], sometimes: Iterable[str]) -> Node:
        cached = ("Cache-Control",) if method == "GET" else ()
        named = {*_CORS, *_ANSWER, *cached, *sometimes}
        nodes = {name: {"$ref": f"#/components/headers/{name}"} for name in named - set(always)}
        return dict(sorted((nodes | {name: _header(name, required=True) for name in always}).items()))


def _by_status(examples: Iterable[SyncError]) -> dict[int | str, list[SyncError]]:
    found: dict[int | str, list[SyncError]] = {}
    for error in examples:
        found.setdefault(error.status, []).append(error)
    return found


def _of_errors(errors: Sequence[SyncError]) -> tuple[set[str], set[str]]:
    """The headers of all these errors, and those of some of them."""
    sets = [set(error.headers) for error in errors] or [set()]
    always = set.intersection(*sets)
    return always, set.union(*sets) - always


def _error_schemas(status: int | str, errors: Sequence[SyncError]) -> list[Node]:
    if not errors or isinstance(errors[0], Unauthorized):
        return [ref("Unauthorized")] if errors else []
    bodies = [error.body() for error in errors]
    number = {"const": status} if isinstance(status, int) else {"type": "integer"}
    properties = {"code": {"enum": sorted({error.code for error in errors})}, "status": number, "statusCode": number}
    required = [name for name in bodies[0] if all(name in body for body in bodies)]
    return [{**ref("Error"), "required": required, "properties": properties}]


def _any_of(schemas: list[Node]) -> Node:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _described(status: int | str, errors: Sequence[SyncError], of_job: bool = False) -> str:
    """One line for the job's own answer, one for each error."""
    lines = []
    if of_job:
        by_state = {200: "The job's state is `success`", 500: "The job's state is any other"}
        chosen = "the job chose this status by itself (modes that allow it)"
        lines.append(f"{by_state[status]}, or {chosen}." if status in by_state else f"{chosen.capitalize()}.")
    if status in ("2XX", "3XX"):
        lines.append("204, 205 and 304 carry no body.")
    for error in errors:
        own = error.code == type(error).code
        words = ((type(error).__doc__ if own else None) or error.message).splitlines()[0]
        named = f"`{error.code}`: " if error.code and not isinstance(error, Unauthorized) else ""
        lines.append(f"{named}{words.rstrip('.')}.")
    return "\n\n".join(dict.fromkeys(lines)) or status_line(int(status))


def _error_examples(errors: Sequence[SyncError]) -> Node:
    return {error.code or type(error).__name__: {"value": error.body()} for error in errors}


def _examples(status: int | str, modes: Sequence[Mode]) -> Node:
    """The seed's, for the modes that there are."""
    of_status: dict[int | str, Node] = {
        200: {
            "output": [openapi_schemas.SUCCESS],
            "parse": {"name": "tomer", "date": "2022-01-28T17:00:22.676Z"},
            "full": openapi_schemas.JOB,
            "result": openapi_schemas.RESULT,
        },
        500: {"output": [openapi_schemas.FAILURE_TEXT]},
        "4XX": {"parse": openapi_schemas.FAILURE},
    }
    shown = of_status.get(status, {})
    return {mode.name: {"value": shown[mode.name]} for mode in reversed(modes) if mode.name in shown}
