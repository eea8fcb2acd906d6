"""Every error that an answer can be, in TheEye's shape.

SyncError                                     EINTERNAL: a bug of ours
├── BadRequest          400  EINVALID         the request cannot be read
├── Unauthorized        401                   no session; the body is "Unauthorized"
├── Forbidden           403  EORACC           the session belongs to another customer
├── NotFound            404  ENOTFOUND        no such path or job
├── MethodNotAllowed    405  EMETHOD          with the methods that are, in `Allow`
├── TooSlow             408  ETOOSLOW         the body came too slowly; nothing was started
├── AlreadyEnded        409  EJOBENDED        the job to cancel had ended
├── RunUnknown          409  EOUTCOMEUNKNOWN  the key's first request was lost, its job may have started
├── StillStarting       409  ESTARTING        the key's first request has not started its job yet
├── RunGone             410  EJOBGONE         the key's job is no longer there
├── TooLarge            413  ETOOLARGE        above SYNC_MAX_BODY
├── UnsupportedType     415  EMEDIATYPE       neither JSON nor a form
├── KeyRefused          422  EKEYREUSED       the key was used for something else
├── Refused             4xx                   the supervisor's own refusal, its words in `value`
├── ClientGone          499  ECLIENTGONE      nobody is there to answer; seen in logs only
├── NotSupported        501  ENOKEYS          a key, but no Redis to keep it in
├── UpstreamFailed      502  EGATEWAY, ESUPERVISOR, EJOBTOOLARGE, EOUTCOMEUNKNOWN   TheEye failed or made no sense
│   ├── Unavailable     502  ESUPERVISOR      a look at the job failed; the wait tries again
│   └── JobGone         502  EJOBGONE         TheEye deleted the job before it was read
├── FormatterFailed     502  EFORMATTER       the mode's own code failed
├── TooBusy             503  EBUSY            SYNC_MAX_WAITING is reached; nothing was started
│   └── TurnNeverCame   503  EHISTORY         too many callers for a short history; nothing was started
├── KeysUnavailable     503  EKEYSDOWN        keys cannot be kept just now; nothing was started
├── OutcomeUnknown      504  EOUTCOMEUNKNOWN  the create's answer was lost: the job may have started
└── TimeIsUp            504  ETIMEISUP        the job goes on, its id is in `job`
    └── Accepted        202                   the same, for who asked not to be kept waiting
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

UNSET: Any = object()


class SyncError(Exception):
    """An error with its HTTP answer; `job` is set wherever a job exists."""

    status: int = 500
    code: str = "EINTERNAL"
    may_have_started: bool = False
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        value: Any = UNSET,
        job: Mapping[str, Any] | None = None,
        may_have_started: bool | None = None,
    ) -> None:
        """`value` is TheEye's own answer; `job` holds at least the job's id; `may_have_started`: a job without one."""
        super().__init__(message)
        self.may_have_started = self.may_have_started if may_have_started is None else may_have_started
        self.message = message
        self.status = self.status if status is None else status
        self.code = self.code if code is None else code
        self.value = value
        self.job = job

    def body(self) -> Any:
        """The JSON body, in TheEye's shape."""
        body = {"message": self.message, "statusCode": self.status}
        if self.value is not UNSET:
            body["value"] = without_stack(self.value)
        body["name"] = "Accepted" if self.status < 400 else "ClientError" if self.status < 500 else "ServerError"
        body["code"] = self.code
        body["status"] = self.status
        if self.job is not None:
            body["job"] = {name: self.job.get(name) for name in ("id", "lifecycle", "state")}
        return body


class BadRequest(SyncError):
    """The request cannot be read."""

    status = 400
    code = "EINVALID"


class Unauthorized(SyncError):
    """No usable token, or TheEye does not know it (RFC 6750)."""

    status = 401
    code = ""
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})

    def __init__(self, job: Mapping[str, Any] | None = None) -> None:
        """`job` where the token was refused while its job was running."""
        super().__init__("Unauthorized", job=job)

    def body(self) -> Any:
        """A bare string, as the original answers."""
        return self.message


class Forbidden(SyncError):
    """The session's customer is not the path's."""

    status = 403
    code = "EORACC"


class NotFound(SyncError):
    """No such path."""

    status = 404
    code = "ENOTFOUND"


class MethodNotAllowed(SyncError):
    """The path is there, but not for this method (RFC 9110)."""

    status = 405
    code = "EMETHOD"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        """`allowed`: the methods that are; OPTIONS always is."""
        super().__init__(f"{method} is not allowed here")
        self.headers = {"Allow": ", ".join(sorted({*allowed, "OPTIONS"}))}


class TooSlow(SyncError):
    """The body came too slowly; nothing was started."""

    status = 408
    code = "ETOOSLOW"


class TooLarge(SyncError):
    """The body is larger than SYNC_MAX_BODY."""

    status = 413
    code = "ETOOLARGE"


class UnsupportedType(SyncError):
    """The body is neither JSON nor a form."""

    status = 415
    code = "EMEDIATYPE"


class Refused(SyncError):
    """The supervisor refused; nothing was started."""

    code = ""


class TooBusy(SyncError):
    """Too many requests are waiting; nothing was started."""

    status = 503
    code = "EBUSY"
    headers = MappingProxyType({"Retry-After": "1"})


class UpstreamFailed(SyncError):
    """TheEye cannot be reached, failed, or answered what is not an answer."""

    status = 502
    code = "ESUPERVISOR"


class Unavailable(UpstreamFailed):
    """A look at the job failed in a way that may pass."""


class JobGone(UpstreamFailed):
    """TheEye no longer has the job."""

    code = "EJOBGONE"


class FormatterFailed(SyncError):
    """A formatter raised or gave something that is no answer."""

    status = 502
    code = "EFORMATTER"

    def __init__(self, formatter: str, words: str = "") -> None:
        """`words`: what the formatter says about it; nothing else of it reaches the client."""
        super().__init__(f"The formatter {formatter!r} failed{': ' if words else ''}{words}")
        self.formatter = formatter

    def body(self) -> Any:
        """With the formatter's name."""
        return {**super().body(), "formatter": self.formatter}


class OutcomeUnknown(SyncError):
    """The create may have reached the supervisor, its answer did not reach us."""

    status = 504
    code = "EOUTCOMEUNKNOWN"
    may_have_started = True


class TimeIsUp(SyncError):
    """The job has not ended in time; it goes on running and can be asked for later."""

    status = 504
    code = "ETIMEISUP"

    def __init__(self, job: Mapping[str, Any], result_url: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """`result_url`: where the answer will be; `headers`: further ones."""
        super().__init__("The job has not ended in time, it goes on running", job=job)
        self.result_url = result_url
        self.headers = {"Location": result_url, "Retry-After": "1", **dict(headers)}

    def body(self) -> Any:
        """With the place of the answer."""
        return {**super().body(), "result_url": self.result_url}


class Accepted(TimeIsUp):
    """The same for who asked not to be kept waiting: no error."""

    status = 202
    code = ""


class AlreadyEnded(SyncError):
    """There was nothing left to cancel."""

    status = 409
    code = "EJOBENDED"


class ClientGone(SyncError):
    """Nobody is there to answer; the status is nginx's, for logs."""

    status = 499
    code = "ECLIENTGONE"


class TurnNeverCame(TooBusy):
    """The task's unread jobs left no room in time; nothing was started."""

    code = "EHISTORY"

    def __init__(self) -> None:
        """Says what would help."""
        super().__init__(
            "The task keeps too few jobs for so many callers at once, and no turn came in time: nothing was started. "
            "Raise its autoremove_completed_jobs_limit"
        )


class KeyRefused(SyncError):
    """The key cannot be used for this request."""

    status = 422
    code = "EKEYREUSED"


class NotSupported(SyncError):
    """There is no Redis to keep keys in."""

    status = 501
    code = "ENOKEYS"


class KeysUnavailable(SyncError):
    """Redis is down; nothing was started."""

    status = 503
    code = "EKEYSDOWN"
    headers = MappingProxyType({"Retry-After": "2"})


class RunUnknown(SyncError):
    """Someone reserved the key and was never heard of again: a run may exist."""

    status = 409
    code = "EOUTCOMEUNKNOWN"


class StillStarting(SyncError):
    """The first request with this key has not started its job yet."""

    status = 409
    code = "ESTARTING"
    headers = MappingProxyType({"Retry-After": "1"})


class RunGone(SyncError):
    """The key's job is no longer there."""

    status = 410
    code = "EJOBGONE"


_FRAMES = re.compile(r"\n[^\S\n]+at .*")


def without_stack(value: Any, depth: int = 0) -> Any:
    """TheEye's words without the stack traces that some of its errors carry; None for what is nested deeply."""
    if depth > 20:
        return None
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in ("stack", "trace")}
        return {name: without_stack(item, depth + 1) for name, item in kept.items()}
    if isinstance(value, list):
        return [without_stack(item, depth + 1) for item in value]
    return _FRAMES.sub("", value) if isinstance(value, str) else value
