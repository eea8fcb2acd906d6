"""OpenAPI: an example of each error, by route; status, code, headers and shape are read off them."""

from app import errors

_JOB = {"id": "61f42186c38201da80f9a001", "lifecycle": "assigned", "state": "in_progress"}
_ENDED = {**_JOB, "lifecycle": "finished", "state": "success"}
_LATER = "/acme/task/61f3e937c38201da80f96c27/job/61f42186c38201da80f9a001?parse"

CRASHED = errors.SyncError("Internal Server Error")
OTHER_METHOD = errors.MethodNotAllowed("PUT", ["GET", "HEAD", "DELETE"])

_ACCEPTED = errors.Accepted(_JOB, _LATER)
_GONE = errors.ClientGone("The client has gone", job=_JOB)
_FORMATTER = errors.FormatterFailed("response", "the job's output is not JSON")

_ANY: tuple[errors.SyncError, ...] = (
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

_OF_RUN: tuple[errors.SyncError, ...] = (
    *_ANY,
    errors.RunUnknown("A request with this Idempotency-Key was lost on the way, its job may have started"),
    errors.StillStarting("A request with this Idempotency-Key is still starting its job"),
    errors.RunGone("The job of this Idempotency-Key is gone", job=_JOB),
    errors.TooSlow("The body came too slowly: less than 65536 bytes in 10 seconds"),
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


# TheEye may refuse a create with any status from 400 to 499; its 401 becomes ours.
_TAKEN = {error.status for error in _OF_RUN if 400 <= error.status < 500} - {errors.Unauthorized.status}
REFUSED = _refused(406)

RUN = (*_OF_RUN, *map(_refused, sorted(_TAKEN)))
READ = (*_ANY, _GONE, _ACCEPTED)
CANCEL = (*_ANY, errors.AlreadyEnded("The job had already ended", job=_ENDED), _ACCEPTED)
