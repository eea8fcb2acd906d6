"""Define every error that this service can answer with, in TheEye's shape.

SyncError                                     EINTERNAL: an unexpected error of this service
├── BadRequest          400  EINVALID         the request cannot be read
├── Unauthorized        401                   no session; the body is "Unauthorized"
├── Forbidden           403  EORACC           the session belongs to another customer
├── NotFound            404  ENOTFOUND        no such path or job
├── MethodNotAllowed    405  EMETHOD          `Allow` names the allowed methods
├── TooSlow             408  ETOOSLOW         the body came too slowly; nothing was started
├── AlreadyEnded        409  EJOBENDED        the job to cancel had ended
├── RunUnknown          409  EOUTCOMEUNKNOWN  the key's first request was lost, its job may have started
├── StillStarting       409  ESTARTING        the key's first request has not started its job yet
├── RunGone             410  EJOBGONE         the key's job is no longer there
├── TooLarge            413  ETOOLARGE        above SYNC_MAX_BODY, or costly to parse
├── UnsupportedType     415  EMEDIATYPE       neither JSON nor a form
│   └── UnsupportedCoding                     a Content-Encoding that this service cannot decode
├── KeyRefused          422  EKEYREUSED       the key was used for something else
├── Refused             4xx                   TheEye, or a proxy in front of it, refused; its body is in `value`
├── ClientGone          499  ECLIENTGONE      the client closed its connection; in logs only
├── NotSupported        501  ENOKEYS          a key, but no Redis to store it in
├── UpstreamFailed      502  ESUPERVISOR, EOUTCOMEUNKNOWN   TheEye failed, or its answer cannot be read
│   ├── GatewayFailed   502  EGATEWAY         the same for its gateway
│   ├── JobTooLarge     502  EJOBTOOLARGE     above SYNC_MAX_JOB, or costly to parse
│   ├── Unavailable     502  ESUPERVISOR      a read of the job failed; the wait tries again
│   │   ├── NotAsked    503  EBUSY            no connection to TheEye was free for a call about the job
│   │   └── TheEyeBusy  503, 429              TheEye, or a proxy in front of it, accepts no more calls now
│   └── JobGone         502  EJOBGONE         TheEye deleted the job before it was read
├── FormatterFailed     502  EFORMATTER       the formatter cannot use the job's output, or its code failed
├── TooBusy             503  EBUSY            too many requests, bytes of answers, or calls to TheEye
│   └── NoFreeSlot      503  EHISTORY         too many callers for a short history; nothing was started
├── KeysUnavailable     503  EKEYSDOWN        Redis cannot store keys now; nothing was started
├── OutcomeUnknown      504  EOUTCOMEUNKNOWN  the create's answer was lost: the job may have started
└── TimeIsUp            504  ETIMEISUP        the answer was not ready in time; the job's id is in `job`
    └── Accepted        202                   the same, for a client that preferred not to wait
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from app.sync_error import UNSET as UNSET
from app.sync_error import Job as Job
from app.sync_error import SyncError as SyncError
from app.sync_error import retry_after


class BadRequest(SyncError, status=400, code="EINVALID"):
    """Refuse a request that cannot be read."""


class Unauthorized(SyncError, status=401, code=""):
    """Refuse a request without a usable token, or with a token that TheEye does not know (RFC 6750)."""

    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})

    def __init__(self, job: Job | None = None) -> None:
        """Take the job if the token was refused while it was running."""
        super().__init__("Unauthorized", job=job)

    def body(self) -> Any:
        """Return a bare string, as the original does."""
        return self.message


class Forbidden(SyncError, status=403, code="EORACC"):
    """Refuse a session that belongs to another customer than the one in the path."""


class NotFound(SyncError, status=404, code="ENOTFOUND"):
    """Report that there is no such path or job."""


class MethodNotAllowed(SyncError, status=405, code="EMETHOD"):
    """Refuse a method that the path does not support (RFC 9110, section 15.5.6)."""

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        """Name the allowed methods in `Allow`; OPTIONS is always allowed."""
        super().__init__(f"{method} is not allowed here")
        self.headers = {"Allow": ", ".join(sorted({*allowed, "OPTIONS"}))}


class TooSlow(SyncError, status=408, code="ETOOSLOW"):
    """Report that the body came too slowly; nothing was started."""


class AlreadyEnded(SyncError, status=409, code="EJOBENDED"):
    """Report that the job had ended before it could be cancelled."""


class RunUnknown(SyncError, status=409, code="EOUTCOMEUNKNOWN"):
    """Report that the first request with this key was lost: its job may have started."""


class StillStarting(SyncError, status=409, code="ESTARTING", retry_after=1):
    """Report that the first request with this key has not started its job yet."""


class RunGone(SyncError, status=410, code="EJOBGONE"):
    """Report that the key's job has been deleted."""


class TooLarge(SyncError, status=413, code="ETOOLARGE"):
    """Refuse a body larger than SYNC_MAX_BODY, or with too many values for its size."""


class UnsupportedType(SyncError, status=415, code="EMEDIATYPE"):
    """Refuse a body that is neither JSON nor a form."""


class UnsupportedCoding(UnsupportedType):
    """Refuse a Content-Encoding that this service cannot decode; `Accept-Encoding` lists the others (RFC 7694)."""

    headers = MappingProxyType({"Accept-Encoding": "gzip, deflate"})


class KeyRefused(SyncError, status=422, code="EKEYREUSED"):
    """Refuse an idempotency key that was used for another request."""


class Refused(SyncError, code=""):
    """Pass on a refusal by TheEye or a proxy in front of it; without `job`, nothing was started."""


class ClientGone(SyncError, status=499, code="ECLIENTGONE"):
    """Stop work for a client that has closed its connection. 499 is nginx's status for that, used in logs only."""


class NotSupported(SyncError, status=501, code="ENOKEYS"):
    """Refuse an idempotency key without a Redis to store it."""


class UpstreamFailed(SyncError, status=502, code="ESUPERVISOR"):
    """Report that TheEye cannot be reached, failed, or sent an invalid answer."""


class GatewayFailed(UpstreamFailed, code="EGATEWAY"):
    """Report that TheEye's gateway cannot be reached, failed, or sent an invalid answer."""


class JobTooLarge(UpstreamFailed, code="EJOBTOOLARGE"):
    """Report a job whose document is larger than SYNC_MAX_JOB, or has too many values for its size."""


class Unavailable(UpstreamFailed):
    """Report that a read of the job failed; the wait tries again."""


class NotAsked(Unavailable, status=503, code="EBUSY", retry_after=1):
    """Report that no call about the job was made: no connection to TheEye was free."""


class TheEyeBusy(Unavailable, status=503, code=""):
    """Pass on a 429, or a 503 with Retry-After, of TheEye or a proxy in front of it. The call had no effect."""


class JobGone(UpstreamFailed, code="EJOBGONE"):
    """Report that TheEye has deleted the job."""


class FormatterFailed(SyncError, status=502, code="EFORMATTER"):
    """Report that a formatter raised an error, or returned something that is no legal answer."""

    def __init__(self, formatter: str, words: str = "", message: str = "") -> None:
        """Take the formatter's name, and either its words for the client or the whole message."""
        super().__init__(message or f"The formatter {formatter!r} failed{': ' if words else ''}{words}")
        self.formatter = formatter

    def body(self) -> Any:
        """Return the JSON body with the formatter's name."""
        return {**super().body(), "formatter": self.formatter}


class TooBusy(SyncError, status=503, code="EBUSY", retry_after=1):
    """Report that too many requests are waiting; nothing was started."""


class NoFreeSlot(TooBusy, code="EHISTORY"):
    """Report that the history guard had no slot for the create in time; nothing was started."""

    words = (
        "The {kind} keeps too few jobs for so many callers at once, and no slot became free in time: "
        "nothing was started. Raise its autoremove_completed_jobs_limit"
    )

    def __init__(self) -> None:
        """Set a message that names the setting of the task to change."""
        super().__init__(self.words.format(kind="task"))

    def tell(self, kind: str, seconds: float | None) -> None:
        """Name what keeps too few jobs; set Retry-After to the seconds that a run takes, if known.

        A slot becomes free when a run ends.
        """
        self.message = self.words.format(kind=kind)
        if seconds is not None:
            self.headers = {**self.headers, "Retry-After": retry_after(seconds)}


class KeysUnavailable(SyncError, status=503, code="EKEYSDOWN", retry_after=2):
    """Report that Redis is down, so that it cannot store keys; nothing was started."""


class OutcomeUnknown(SyncError, status=504, code="EOUTCOMEUNKNOWN"):
    """Report that the supervisor's answer to a create was lost: the job may have started."""

    may_have_started = True


class TimeIsUp(SyncError, status=504, code="ETIMEISUP"):
    """Report that the job's answer was not ready in time; it can be read later."""

    words = "The time is up: the job"

    def __init__(
        self,
        job: Job,
        ago: float,
        result_url: str,
        headers: Iterable[tuple[str, str]] = (),
        message: str = "",
        expected: float | None = None,
    ) -> None:
        """Take the job and the URL of its answer; TheEye was last read `ago` seconds before.

        `expected` is how many seconds a run of the task usually takes, None if unknown; `headers` are sent beside
        `Location`. A 504 has no `Retry-After`: clients would repeat the POST, which runs the task again.
        """
        super().__init__(message or f"{self.words} had not ended when TheEye last showed it, {ago:.0f} s ago", job=job)
        self.result_url = result_url
        self.expected = expected
        self.headers = {"Location": result_url, **type(self).headers, **dict(headers)}
        if expected is not None and "Retry-After" in self.headers:
            self.headers["Retry-After"] = retry_after(expected, job.running_for)

    def body(self) -> Any:
        """Return the JSON body with the URL of the result, and the usual duration of a run if it is known."""
        expected = {} if self.expected is None else {"expected_seconds": self.expected}
        return {**super().body(), "result_url": self.result_url, **expected}


class Accepted(TimeIsUp, status=202, code="", retry_after=1):
    """Give a client that preferred not to wait the URL of the result; this is not an error."""

    words = "The job"
