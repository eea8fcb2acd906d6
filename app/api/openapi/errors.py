"""OpenAPI: an example of each error, by route; status, code, headers and shape are read off them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app import errors
from app.api.openapi.schemas import ref
from app.errors import SyncError, Unauthorized

Node = dict[str, Any]

_JOB = {"id": "61f42186c38201da80f9a001", "lifecycle": "assigned", "state": "in_progress"}
_ENDED = {**_JOB, "lifecycle": "finished", "state": "success"}
_LATER = "/acme/task/61f3e937c38201da80f96c27/job/61f42186c38201da80f9a001?parse"

CRASHED = errors.SyncError("Internal Server Error")
OTHER_METHOD = errors.MethodNotAllowed("PUT", ["GET", "HEAD", "DELETE"])

_ACCEPTED = errors.Accepted(_JOB, _LATER)
_GONE = errors.ClientGone("The client has gone", job=_JOB)
_FORMATTER = errors.FormatterFailed("response", "the job's output is not JSON")

_ANY: tuple[SyncError, ...] = (
    errors.BadRequest("wait must be a number of seconds"),
    errors.Unauthorized(),
    errors.Forbidden("Forbidden"),
    errors.NotFound("Job not found"),
    CRASHED,
    errors.UpstreamFailed("The gateway did not answer: timed out", code="EGATEWAY"),
    errors.UpstreamFailed("The supervisor did not answer: timed out"),
    errors.UpstreamFailed(
        "The job is too large: the answer has more than 67108864 bytes", code="EJOBTOOLARGE", job=_JOB
    ),
    _FORMATTER,
    errors.TooBusy("1000 requests are waiting already, nothing was started"),
)

_OF_RUN: tuple[SyncError, ...] = (
    *_ANY,
    errors.RunUnknown("A request with this Idempotency-Key was lost on the way, its job may have started"),
    errors.StillStarting("A request with this Idempotency-Key is still starting its job"),
    errors.RunGone("The job of this Idempotency-Key is gone", job=_JOB),
    errors.BadRequest("This server reads no chunked bodies, send a Content-Length", status=411),
    errors.TooSlow("The body came too slowly: less than 65536 bytes in 10 seconds"),
    errors.BadRequest("This server reads no chunked bodies, send a Content-Length", status=411),
    errors.TooLarge("The body is larger than 16777216 bytes"),
    errors.UnsupportedType("The body must be application/json or application/x-www-form-urlencoded"),
    errors.KeyRefused("This Idempotency-Key was used for another task, body or query"),
    _GONE,
    errors.NotSupported("Idempotency-Key needs SYNC_REDIS_URL, nothing was started"),
    errors.JobGone("TheEye no longer has the job", job=_JOB),
    errors.UpstreamFailed(
        "The supervisor's answer to the create is no job, but the job may have started", code="EOUTCOMEUNKNOWN"
    ),
    errors.TurnNeverCame(),
    errors.KeysUnavailable("Idempotency keys cannot be kept just now, nothing was started"),
    errors.OutcomeUnknown("The answer to the create was lost, the job may have started: timed out"),
    errors.TimeIsUp(_JOB, _LATER),
    _ACCEPTED,
)


def _refused(status: int) -> errors.Refused:
    return errors.Refused("Invalid Request", status=status, value={"message": "TheEye's own words"})


# Where the class's own words, or a message, would not be understood here; by the code where it is not the class's.
_BETTER: Mapping[type[SyncError] | str, str] = {
    "EGATEWAY": "TheEye's gateway failed, or its answer makes no sense.",
    "EJOBTOOLARGE": "The job is larger than `SYNC_MAX_JOB`.",
    errors.FormatterFailed: "The mode cannot make an answer of this job, or its code failed.",
    SyncError: "A bug of this service.",
    errors.NotFound: "No such job of this task, or no such path.",
    errors.Refused: "TheEye refused to create the job, `value` holds its words; nothing was started.",
    errors.Accepted: "The job has not ended yet; `Location` says where its answer will be.",
}

# TheEye may refuse a create with any status from 400 to 499; its 401 becomes ours.
_TAKEN = {error.status for error in _OF_RUN if 400 <= error.status < 500} - {errors.Unauthorized.status}
REFUSED = _refused(406)

RUN = (*_OF_RUN, *map(_refused, sorted(_TAKEN)))
READ = (*_ANY, _GONE, _ACCEPTED)
CANCEL = (*_ANY, errors.AlreadyEnded("The job had already ended", job=_ENDED), _ACCEPTED)


def by_status(examples: Iterable[SyncError]) -> dict[int | str, list[SyncError]]:
    """The examples of each status."""
    found: dict[int | str, list[SyncError]] = {}
    for error in examples:
        found.setdefault(error.status, []).append(error)
    return found


def headers_of(errors: Sequence[SyncError]) -> tuple[set[str], set[str]]:
    """The headers of all these errors, and those of some of them."""
    sets = [set(error.headers) for error in errors] or [set()]
    always = set.intersection(*sets)
    return always, set.union(*sets) - always


def schemas_of(status: int | str, errors: Sequence[SyncError]) -> list[Node]:
    """The schema of these errors' bodies; none for none."""
    if not errors or isinstance(errors[0], Unauthorized):
        return [ref("Unauthorized")] if errors else []
    bodies = [error.body() for error in errors]
    number = {"const": status} if isinstance(status, int) else {"type": "integer"}
    properties = {"code": {"enum": sorted({error.code for error in errors})}, "status": number, "statusCode": number}
    required = [name for name in bodies[0] if all(name in body for body in bodies)]
    return [{**ref("Error"), "required": required, "properties": properties}]


def examples_of(errors: Sequence[SyncError]) -> Node:
    """Their bodies by their codes."""
    return {error.code or type(error).__name__: {"value": error.body()} for error in errors}


def words_of(errors: Iterable[SyncError]) -> list[str]:
    """A line for each: its code, and what its class says; where code or status are not the class's, its message."""
    lines = []
    for error in errors:
        kind = type(error)
        of_class = kind.__doc__ if (error.code, error.status) == (kind.code, kind.status) else None
        words = _BETTER.get(kind) or _BETTER.get(error.code) or of_class or error.message
        words = words.splitlines()[0].rstrip(".")
        named = f"`{error.code}`: " if error.code else ""
        lines.append(f"{named}{words}.")
    return list(dict.fromkeys(lines))
