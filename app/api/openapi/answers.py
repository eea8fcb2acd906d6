"""OpenAPI: what can come back, by status: the modes' answers and the errors."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.api.openapi.errors import (
    CRASHED,
    OTHER_METHOD,
    REFUSED,
    by_status,
    examples_of,
    headers_of,
    schemas_of,
    words_of,
)
from app.api.openapi.headers import headers
from app.api.openapi.schemas import FAILURE, FAILURE_TEXT, JOB, RESULT, SCHEMAS, SUCCESS, ref
from app.errors import SyncError
from formatters import Mode
from formatters.modes.full import Full
from formatters.modes.output import Output
from formatters.modes.parse import Parse
from formatters.modes.result import Result

Node = dict[str, Any]

JSON = "application/json"
ANY_TYPE = "*/*"

_JOB = ("X-Job-Id", "X-Job-Lifecycle", "X-Job-State", "Preference-Applied", "Idempotency-Replayed")
_GUARDS = ("X-Content-Type-Options", "Content-Security-Policy")


def mode_schema(mode: Mode) -> str:
    """The schema of a mode's JSON."""
    shapes = ((Output, "Output"), (Parse, "Parsed"), (Full, "Job"), (Result, "Result"))
    return next((name for kind, name in shapes if isinstance(mode.formatter, kind)), "FromTheJob")


def chooses_status(mode: Mode) -> bool:
    """Whether the job, or a plugin, may choose the status; else the job's state decides."""
    return not isinstance(mode.formatter, (Output, Full, Result))


class Answers:
    """All answers, under the modes that there are."""

    def __init__(self, modes: Sequence[Mode]) -> None:
        """In order of precedence."""
        self._modes = modes
        self._choosing = [mode for mode in modes if chooses_status(mode)]

    def of_job(self, examples: Iterable[SyncError], method: str) -> Node:
        """A job's answer in any mode, and what can go wrong; the ranges are what a job chose by itself."""
        errors = by_status(examples)
        statuses: set[int | str] = {200, 500, *errors}
        if self._choosing:
            statuses |= {"2XX", "3XX", "4XX", "5XX"}
        if method == "POST":
            statuses.add("4XX")
            errors["4XX"] = [REFUSED]
        by_key = sorted(statuses, key=str)
        return {str(status): self._of_job(status, errors.get(status, []), method) for status in by_key}

    def of_cancel(self, examples: Iterable[SyncError]) -> Node:
        """The answers to DELETE on a job."""
        errors = by_status(examples)
        cancelled = headers("DELETE", ("X-Job-Id",), _JOB)
        nodes: Node = {"204": {"description": "The job is cancelled.", "headers": cancelled}}
        for status, found in errors.items():
            nodes[str(status)] = self._failed(status, found, "DELETE")
        return dict(sorted(nodes.items()))

    def of_page(self, schemas: Mapping[int, str]) -> Node:
        """The answers of a page about the service."""
        nodes = {
            str(status): {
                "description": SCHEMAS[name]["description"],
                "headers": headers("GET", ("ETag",), ()),
                "content": {JSON: {"schema": ref(name)}},
            }
            for status, name in schemas.items()
        }
        return dict(sorted((nodes | {"500": self._failed(500, [CRASHED], "GET")}).items()))

    def of_preflight(self) -> Node:
        """The answer to OPTIONS."""
        return {"204": {"description": "Go ahead.", "headers": headers("OPTIONS", (), ())}}

    def of_other_methods(self) -> Node:
        """What a path answers to a method that it does not have."""
        return {"MethodNotAllowed": self._failed(405, [OTHER_METHOD], "POST")}

    def _of_job(self, status: int | str, errors: Sequence[SyncError], method: str) -> Node:
        modes = self._modes if status in (200, 500) else self._choosing
        if not modes:
            return self._failed(status, errors, method)
        schemas = [ref(name) for name in dict.fromkeys(map(mode_schema, modes))]
        body = {
            "schema": _any_of([*schemas, *schemas_of(status, errors)]),
            "examples": _examples(status, modes) | examples_of(errors),
        }
        content = {JSON: {name: part for name, part in body.items() if part}}
        if any(mode_schema(mode) == "FromTheJob" for mode in modes):
            declared = [media_type for mode in modes for media_type in mode.media_types]
            content |= {media_type: {"schema": ref("FromTheJob")} for media_type in [*declared, ANY_TYPE]}
        own, ended = headers_of(errors)
        always = ("ETag",) if status in (200, 500) else ()
        sent = headers(method, always, (*_JOB, *_GUARDS, "ETag", *own, *ended))
        description = "\n\n".join(_described(status, words_of(errors), bool(self._choosing)))
        return {"description": description, "headers": sent, "content": content}

    def _failed(self, status: int | str, errors: Sequence[SyncError], method: str) -> Node:
        always, sometimes = headers_of(errors)
        about_job = _JOB if any(error.status != 405 and error is not CRASHED for error in errors) else ()
        return {
            "description": "\n\n".join(words_of(errors)),
            "headers": headers(method, ("ETag", *always), (*about_job, *sometimes)),
            "content": {JSON: {"schema": _any_of(schemas_of(status, errors)), "examples": examples_of(errors)}},
        }


def _any_of(schemas: list[Node]) -> Node:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _described(status: int | str, errors: Sequence[str], choosing: bool) -> list[str]:
    """What the status means: by the job's state, as an error, or by the job's own choice."""
    by_state = {200: "The job's state is `success`.", 500: "The job's state is any other."}
    lines = [by_state[status]] if isinstance(status, int) and status in by_state else []
    lines += errors
    if choosing:
        lines.append(f"{'Or the' if lines else 'The'} job chose this status by itself, in a mode where it can.")
    if status in ("2XX", "3XX"):
        lines.append("204, 205 and 304 carry no body.")
    return lines


def _examples(status: int | str, modes: Sequence[Mode]) -> Node:
    """The seed's, for the modes that there are."""
    of_status: dict[int | str, Node] = {
        200: {
            "output": [SUCCESS],
            "parse": {"name": "tomer", "date": "2022-01-28T17:00:22.676Z"},
            "full": JOB,
            "result": RESULT,
        },
        500: {"output": [FAILURE_TEXT]},
        "4XX": {"parse": FAILURE},
    }
    shown = of_status.get(status, {})
    return {mode.name: {"value": shown[mode.name]} for mode in reversed(modes) if mode.name in shown}
