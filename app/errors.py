"""Every error that an answer can be, in TheEye's shape.

SyncError                                     EINTERNAL: an unexpected error of this service
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
├── ClientGone          499  ECLIENTGONE      the client closed its connection; seen in logs only
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

Crashed                                       an unexpected error after a job was created; Flask handles it as any other
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

UNSET: Any = object()


class Job(Protocol):
    """What an error tells of a job; `app.theeye.client.Job` is one."""

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def lifecycle(self) -> str | None: ...  # noqa: D102

    @property
    def state(self) -> str | None: ...  # noqa: D102

    @property
    def has_ended(self) -> bool: ...  # noqa: D102


class SyncError(Exception):
    """Carry an error and its HTTP answer; `job` is set wherever a job exists."""

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
        job: Job | None = None,
        may_have_started: bool | None = None,
    ) -> None:
        """`value` is TheEye's own answer; `job`: as last seen; `may_have_started`: a job without one."""
        super().__init__(message)
        self.may_have_started = self.may_have_started if may_have_started is None else may_have_started
        self.message = message
        self.status = self.status if status is None else status
        self.code = self.code if code is None else code
        self.value = value
        self.job = job

    def body(self) -> Any:
        """Return the JSON body, in TheEye's shape."""
        body = {"message": self.message, "statusCode": self.status}
        if self.value is not UNSET:
            body["value"] = without_stack(self.value)
        body["name"] = "Accepted" if self.status < 400 else "ClientError" if self.status < 500 else "ServerError"
        body["code"] = self.code
        body["status"] = self.status
        if self.job is not None:
            body["job"] = {"id": self.job.id, "lifecycle": self.job.lifecycle, "state": self.job.state}
        return body


class BadRequest(SyncError):
    """Refuse a request that cannot be read."""

    status = 400
    code = "EINVALID"


class Unauthorized(SyncError):
    """Refuse a request without a usable token, or with one that TheEye does not know (RFC 6750)."""

    status = 401
    code = ""
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})

    def __init__(self, job: Job | None = None) -> None:
        """`job` where the token was refused while its job was running."""
        super().__init__("Unauthorized", job=job)

    def body(self) -> Any:
        """Return a bare string, as the original does."""
        return self.message


class Forbidden(SyncError):
    """Refuse a session of another customer than the path's."""

    status = 403
    code = "EORACC"


class NotFound(SyncError):
    """Report that there is no such path or job."""

    status = 404
    code = "ENOTFOUND"


class MethodNotAllowed(SyncError):
    """Refuse a method that the path does not have (RFC 9110, section 15.5.6)."""

    status = 405
    code = "EMETHOD"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        """Name the methods that are allowed in `Allow`; OPTIONS always is."""
        super().__init__(f"{method} is not allowed here")
        self.headers = {"Allow": ", ".join(sorted({*allowed, "OPTIONS"}))}


class TooSlow(SyncError):
    """Report that the body came too slowly; nothing was started."""

    status = 408
    code = "ETOOSLOW"


class TooLarge(SyncError):
    """Refuse a body larger than SYNC_MAX_BODY."""

    status = 413
    code = "ETOOLARGE"


class UnsupportedType(SyncError):
    """Refuse a body that is neither JSON nor a form."""

    status = 415
    code = "EMEDIATYPE"


class Refused(SyncError):
    """Pass on the supervisor's own refusal; nothing was started."""

    code = ""


class TooBusy(SyncError):
    """Report that too many requests are waiting; nothing was started."""

    status = 503
    code = "EBUSY"
    headers = MappingProxyType({"Retry-After": "1"})


class UpstreamFailed(SyncError):
    """Report that TheEye cannot be reached, failed, or sent an answer that cannot be read."""

    status = 502
    code = "ESUPERVISOR"


class Unavailable(UpstreamFailed):
    """Report that a read of the job failed; the wait tries again."""


class JobGone(UpstreamFailed):
    """Report that TheEye has deleted the job."""

    code = "EJOBGONE"


class FormatterFailed(SyncError):
    """Report that a formatter raised, or returned something that is not an answer."""

    status = 502
    code = "EFORMATTER"

    def __init__(self, formatter: str, words: str = "") -> None:
        """Take the formatter's name and its message for the client; nothing else of the failure reaches the client."""
        super().__init__(f"The formatter {formatter!r} failed{': ' if words else ''}{words}")
        self.formatter = formatter

    def body(self) -> Any:
        """Return the JSON body with the formatter's name."""
        return {**super().body(), "formatter": self.formatter}


class OutcomeUnknown(SyncError):
    """Report that the supervisor's answer to a create was lost: the job may have started."""

    status = 504
    code = "EOUTCOMEUNKNOWN"
    may_have_started = True


class TimeIsUp(SyncError):
    """Report that the job has not ended in time; it goes on, and its result can be read later."""

    status = 504
    code = "ETIMEISUP"

    def __init__(self, job: Job, result_url: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """`result_url`: where the answer will be; `headers`: further ones."""
        super().__init__("The job has not ended in time, it goes on running", job=job)
        self.result_url = result_url
        self.headers = {"Location": result_url, "Retry-After": "1", **dict(headers)}

    def body(self) -> Any:
        """Return the JSON body with the URL of the result."""
        return {**super().body(), "result_url": self.result_url}


class Accepted(TimeIsUp):
    """Tell a client that preferred not to wait where the result will be; this is not an error."""

    status = 202
    code = ""


class AlreadyEnded(SyncError):
    """Report that the job had ended before it could be canceled."""

    status = 409
    code = "EJOBENDED"


class ClientGone(SyncError):
    """Stop work for a client that has closed its connection; 499 is nginx's status, seen in logs only."""

    status = 499
    code = "ECLIENTGONE"


class TurnNeverCame(TooBusy):
    """Report that the history guard let no create through in time; nothing was started."""

    code = "EHISTORY"

    def __init__(self) -> None:
        """Tell the caller which setting of the task helps."""
        super().__init__(
            "The task keeps too few jobs for so many callers at once, and no turn came in time: nothing was started. "
            "Raise its autoremove_completed_jobs_limit"
        )


class KeyRefused(SyncError):
    """Refuse an idempotency key that was used for another request."""

    status = 422
    code = "EKEYREUSED"


class NotSupported(SyncError):
    """Refuse an idempotency key where there is no Redis to store it."""

    status = 501
    code = "ENOKEYS"


class KeysUnavailable(SyncError):
    """Report that Redis is down and keys cannot be stored; nothing was started."""

    status = 503
    code = "EKEYSDOWN"
    headers = MappingProxyType({"Retry-After": "2"})


class RunUnknown(SyncError):
    """Report that the first request with this key was lost: its job may have started."""

    status = 409
    code = "EOUTCOMEUNKNOWN"


class StillStarting(SyncError):
    """Report that the first request with this key has not started its job yet."""

    status = 409
    code = "ESTARTING"
    headers = MappingProxyType({"Retry-After": "1"})


class RunGone(SyncError):
    """Report that the key's job has been deleted."""

    status = 410
    code = "EJOBGONE"


class Crashed(Exception):
    """An unexpected error after the job was created: the client is told the job's id all the same."""

    def __init__(self, job: Job) -> None:
        """To be raised from the error itself; `job`: as last seen."""
        super().__init__(f"unexpected error with job {job.id}")
        self.job = job


_FRAMES = re.compile(r"\n[^\S\n]+at .*")


def without_stack(value: Any, depth: int = 0) -> Any:
    """Return TheEye's own answer without stack traces; None in place of what is nested deeper than 20 levels."""
    if depth > 20:
        return None
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name not in ("stack", "trace")}
        return {name: without_stack(item, depth + 1) for name, item in kept.items()}
    if isinstance(value, list):
        return [without_stack(item, depth + 1) for item in value]
    return _FRAMES.sub("", value) if isinstance(value, str) else value
