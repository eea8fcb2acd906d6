"""Call TheEye's two servers: the gateway knows whose a token is, the supervisor runs tasks and shows their jobs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import quote

from app.errors import (
    UNSET,
    JobGone,
    OutcomeUnknown,
    Refused,
    TheEyeBusy,
    Unauthorized,
    Unavailable,
    UpstreamFailed,
)
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.trace import Headers, Trace
from app.theeye.shares import Share, Shares, ShareTaken
from app.theeye.transport import CONNECTIONS, AnswerTooLarge, NotSent, Reply, Transport, TransportError
from formatters.cost import TooCostly
from formatters.jsontext import loads_document

ENDED = frozenset({"finished", "terminated", "canceled", "expired", "completed"})
WORDS_BYTES = 1 << 20  # of TheEye's answer to what it refuses, which is shown to the client

_GONE = (
    "TheEye no longer has the job: newer jobs of its task may have pushed it out before it was read. "
    "Raise the task's autoremove_completed_jobs_limit"
)

# Of a member who was removed while the session lives; the second are the gateway's words, also for its own bug there.
_NO_SESSION = re.compile("authentication failed", re.IGNORECASE)
_NO_MEMBER = re.compile("authentication failed|invalid session|no members|cannot read propert.*\\bid\\b", re.IGNORECASE)
_RETRY_AFTER = re.compile("[0-9]{1,9}|[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT")
_TASK_FIELDS = frozenset({"name", "type", "task_arguments", "autoremove_completed_jobs_limit"})

_NO_ANSWER = (  # as seen on a real TheEye
    "TheEye did not answer; nothing was started. It never answers callers whom the task's empty `acl` shuts out"
)


@dataclass(frozen=True, slots=True)
class Job:
    """Hold a job as last seen; `document` is TheEye's own with the job's id, empty where only the id is known.

    `exit_code` is that of the script, where the agent has reported an integer.
    """

    id: str
    lifecycle: str | None = None
    state: str | None = None
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    exit_code: int | None = None
    seen_at: float = field(default_factory=monotonic, repr=False, compare=False)

    @classmethod
    def of(cls, document: Mapping[str, Any], job_id: str = "") -> "Job":
        """Read a job document; `job_id` stands in for an id that it lacks."""
        own, lifecycle, state = document.get("id"), document.get("lifecycle"), document.get("state")
        if not isinstance(own, str) or not own:
            own, document = job_id, {**document, "id": job_id}
        return cls(own, _text(lifecycle), _text(state), document, _exit_code(document))

    @property
    def has_ended(self) -> bool:
        """Return whether the lifecycle is one of those that a job never leaves."""
        return self.lifecycle in ENDED

    @property
    def age(self) -> float:
        """Return how many seconds ago TheEye showed the job."""
        return monotonic() - self.seen_at

    def at(self, lifecycle: str) -> "Job":
        """Return the same job at another lifecycle, as a look at the lifecycle alone shows it: without a document."""
        return replace(self, lifecycle=lifecycle, document={}, seen_at=monotonic())

    def without_document(self) -> "Job":
        """Return the same job for a wait: a document takes memory, and the one of the end is read when it has ended."""
        return replace(self, document={})


@dataclass(frozen=True, slots=True)
class Session:
    """Hold whose token it is; a session belongs to one customer."""

    user_id: str
    customer_id: str
    customer: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Hold on whose behalf TheEye is called: customer (by name), token and task, and the record of the request."""

    customer: str
    token: str = field(repr=False)
    trace: Trace = field(default_factory=Trace, repr=False, compare=False)
    task: str = ""

    @property
    def headers(self) -> Headers:
        """Return the headers of every call; the token travels in no other way."""
        return (("Authorization", f"Bearer {self.token}"), *self.trace.headers)


class _Server:
    """Call one of TheEye's servers, and count the calls."""

    def __init__(self, url: str, settings: Settings, metrics: Metrics | None) -> None:
        """Connect to nothing yet."""
        self.transport = Transport(
            url, settings.connect_timeout, settings.call_timeout, settings.max_job, settings.client_cert
        )
        self._metrics = metrics
        self._call_timeout = settings.call_timeout
        self._shares = Shares()

    def _call(
        self,
        caller: Caller,
        shares: tuple[Share, ...],
        kind: str,
        method: str,
        path: str,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Make one call within shares of the connections, and count it under its kind. Raise TransportError."""
        deadline = monotonic() + (self._call_timeout if timeout is None else min(timeout, self._call_timeout))
        status: int | str = "lost"
        try:
            try:
                with self._shares.hold(shares, deadline):
                    reply = self.transport.call(method, path, caller.headers, body, deadline - monotonic())
            except ShareTaken:
                raise NotSent("too many calls of this caller, task or customer are under way") from None
            status = reply.status
        except NotSent:
            status = "not_sent"
            raise
        finally:
            if self._metrics is not None:
                self._metrics.call(kind, status)
        return reply


class Gateway(_Server):
    """Call the server of TheEye that knows the tokens."""

    _PROFILE = "/api/session/profile?scopes[]=principal&scopes[]=organization"

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        """Connect to nothing yet."""
        super().__init__(settings.gateway_url, settings, metrics)

    def session(self, caller: Caller, known: Session | None = None) -> Session:
        """Return the token's session, `known` from before or not. Raise Unauthorized, or UpstreamFailed."""
        try:
            reply = self._call(caller, _shares_of_lookup(caller, known), "session", "GET", self._PROFILE)
        except TransportError as error:
            raise UpstreamFailed(f"The gateway did not answer: {error}", code="EGATEWAY") from None
        if reply.status == 401 or _says(reply, _NO_MEMBER):
            raise Unauthorized
        message = f"The gateway answered with status {reply.status}"
        _check_busy(reply, message)
        if reply.status != 200:
            raise UpstreamFailed(message, code="EGATEWAY")
        return _session(_value(reply))


class Supervisor(_Server):
    """Call the server of TheEye that runs the tasks."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        """Connect to nothing yet."""
        super().__init__(settings.supervisor_url, settings, metrics)

    def create(self, caller: Caller, task: str, query: str, body: bytes | None) -> Job:
        """Start the task; never tried twice. Raise Refused, Unauthorized, UpstreamFailed, or OutcomeUnknown."""
        path = _path(caller.customer, "task", task, "job") + (f"?{query}" if query else "")
        try:
            reply = self._call(caller, _shares(caller), "create", "POST", path, body)
        except NotSent as error:
            raise UpstreamFailed(f"The supervisor cannot be reached, nothing was started: {error}") from None
        except TransportError as error:
            message = f"The answer to the create was lost, the job may have started: {error}"
            raise OutcomeUnknown(message) from None
        if reply.status != 200 and reply.status != 201:
            _check_refused(reply, caller.token)
            _fail(reply, caller.token, self.transport.endpoint.is_relayed)
        document = _value(reply)
        job = Job.of(document) if isinstance(document, dict) else None
        if job is None or not job.id:
            message = "The supervisor's answer to the create is no job, but the job may have started"
            raise UpstreamFailed(message, code=OutcomeUnknown.code, may_have_started=True)
        return job

    def task(self, caller: Caller, task: str, timeout: float) -> Mapping[str, Any]:
        """Return the task's document, before anything is started. Raise Refused, Unauthorized or UpstreamFailed."""
        reply = self._show(caller, "task", _path(caller.customer, "task", task), timeout)
        document = _value(reply) if reply.status == 200 else None
        if not isinstance(document, dict) or not _is_task(document, task):
            message = f"The supervisor did not show the task, with status {reply.status}, nothing was started"
            raise UpstreamFailed(message, value=UNSET if reply.status == 200 else _own_answer(reply, caller.token))
        return document

    def tasks(self, caller: Caller, limit: int) -> Sequence[Any]:
        """Return the documents of the tasks that the token may see, at most `limit`. Raise as `task` does."""
        reply = self._show(caller, "tasks", _path(caller.customer, "task") + f"?limit={limit}", None)
        documents = _value(reply) if reply.status == 200 else None
        if not isinstance(documents, list):
            message = f"The supervisor did not show the tasks, with status {reply.status}"
            raise UpstreamFailed(message, value=UNSET if reply.status == 200 else _own_answer(reply, caller.token))
        return documents

    def _show(self, caller: Caller, kind: str, path: str, timeout: float | None) -> Reply:
        """Make a call that starts nothing. Raise Refused, Unauthorized or UpstreamFailed."""
        if timeout is not None and timeout <= 0:  # spent on a wait for a read of the same task
            raise UpstreamFailed(_NO_ANSWER)
        try:
            reply = self._call(caller, _shares(caller), kind, "GET", path, timeout=timeout)
        except NotSent as error:
            raise UpstreamFailed(f"The supervisor cannot be reached, nothing was started: {error}") from None
        except TransportError as error:
            raise UpstreamFailed(f"{_NO_ANSWER}: {error}") from None
        _check_refused(reply, caller.token)
        return reply

    def read(self, caller: Caller, job_id: str, timeout: float | None = None) -> Job:
        """Return the whole job. Raise Unavailable for what may pass, JobGone, Unauthorized or UpstreamFailed."""
        path = _path(caller.customer, "job", job_id)
        try:
            document = loads_document(self._ask(caller, "read", "GET", path, job_id, timeout).body)
        except TooCostly:
            message = "The job is too large: its document has too many values for its size"
            raise UpstreamFailed(message, code="EJOBTOOLARGE", job=Job(job_id)) from None
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("lifecycle"), str):
            raise Unavailable("The supervisor answered with something that is no job", job=Job(job_id))
        return Job.of(document, job_id)

    def lifecycle(self, caller: Caller, job_id: str, timeout: float | None = None) -> str:
        """Return the job's lifecycle only; raise as `read` does."""
        path = _path(caller.customer, "job", job_id, "lifecycle")
        lifecycle = _value(self._ask(caller, "lifecycle", "GET", path, job_id, timeout))
        if not isinstance(lifecycle, str):
            raise Unavailable("The supervisor answered with something that is no lifecycle")
        return lifecycle

    def cancel(self, caller: Caller, job_id: str) -> None:
        """Ask for the end of a job; TheEye says yes even when nothing could be cancelled. Raise as `read` does."""
        self._ask(caller, "cancel", "PUT", _path(caller.customer, "job", job_id, "cancel"), job_id, None)

    def _ask(self, caller: Caller, kind: str, method: str, path: str, job_id: str, timeout: float | None) -> Reply:
        """Make a call about a job, which may be repeated."""
        job = Job(job_id)
        try:
            reply = self._call(caller, _shares(caller), kind, method, path, timeout=timeout)
        except AnswerTooLarge as error:
            raise UpstreamFailed(f"The job is too large: {error}", code="EJOBTOOLARGE", job=job) from None
        except TransportError as error:
            raise Unavailable(f"The supervisor did not answer: {error}", job=job) from None
        if 200 <= reply.status < 300:
            return reply
        if reply.status in (400, 404) and _value(reply) is not None:  # 400: no id; without JSON it is not TheEye's
            raise JobGone(_GONE, job=job)
        message = f"The supervisor answered with status {reply.status}"
        if reply.status in (400, 404, 408, 425):
            raise Unavailable(message, job=job)
        _check_refused(reply, caller.token, job)
        raise Unavailable(message, job=job)


def _shares(caller: Caller) -> tuple[Share, ...]:
    """Return the shares of the supervisor's connections: TheEye never answers some callers, and some of their tasks."""
    customer, token, task = caller.customer, caller.token, caller.task
    return (
        ((customer, token, task), CONNECTIONS // 4),
        ((customer, "caller", token), CONNECTIONS * 3 // 8),
        ((customer, "task", task), CONNECTIONS * 3 // 8),
        (customer, CONNECTIONS // 2),
    )


def _shares_of_lookup(caller: Caller, known: Session | None) -> tuple[Share, ...]:
    """Return the shares of the gateway's connections: the customer of an unknown token is what its caller says."""
    of_token = (("token", caller.token), CONNECTIONS // 8)
    if known is not None:
        return of_token, (("known", known.customer_id), CONNECTIONS // 4)
    return of_token, (("unknown", caller.customer), CONNECTIONS // 4), ("unknown", CONNECTIONS // 2)


def _check_refused(reply: Reply, token: str, job: Job | None = None) -> None:
    """Raise where TheEye, or a proxy before it, has refused a call, which has had no effect then."""
    if reply.status == 401 or _says(reply, _NO_SESSION):
        raise Unauthorized(job=job)
    fate = "" if job else ", nothing was started"
    if reply.status == 407:
        raise UpstreamFailed(f"The proxy before the supervisor wants other credentials{fate}", job=job)
    _check_busy(reply, f"TheEye is too busy{fate}", _own_answer(reply, token), job)
    if 400 <= reply.status < 500:
        value = _own_answer(reply, token)
        message = "Invalid Request" if value is not UNSET else f"Refused before TheEye, with status {reply.status}"
        raise Refused(message, status=reply.status, value=value, job=job, retry_after=_retry_after(reply))


def _check_busy(reply: Reply, message: str, value: Any = UNSET, job: Job | None = None) -> None:
    """Raise where a server takes no more calls now (RFC 6585, 4); a 503 that does not say how long is any failure."""
    retry_after = _retry_after(reply)
    if reply.status == 429 or (reply.status == 503 and retry_after):
        raise TheEyeBusy(message, status=reply.status, value=value, job=job, retry_after=retry_after)


def _fail(reply: Reply, token: str, relayed: bool) -> NoReturn:
    """Raise the error of a create that was neither accepted nor refused.

    `relayed`: a proxy may have answered instead of TheEye, also after it had passed the create on.
    """
    started = not 300 <= reply.status < 400 or reply.status == 303
    fate = "the job may have started" if started else "nothing was started"
    message = f"The supervisor answered the create with status {reply.status}, {fate}"
    code = OutcomeUnknown.code if reply.status < 300 or (relayed and started) else None
    raise UpstreamFailed(message, code=code, value=_own_answer(reply, token), may_have_started=started)


def _says(reply: Reply, words: re.Pattern[str]) -> bool:
    """Return whether TheEye's 500 means that the token's session is no longer one."""
    answer = _value(reply) if reply.status == 500 else None
    message = answer.get("message") if isinstance(answer, dict) else answer
    return isinstance(message, str) and words.match(message) is not None


def _retry_after(reply: Reply) -> str:
    """Return the value of Retry-After (RFC 9110, 10.2.3), empty where there is none that can be passed on."""
    value = (reply.headers.get("Retry-After") or "").strip()
    return value if _RETRY_AFTER.fullmatch(value) else ""


def _is_task(document: Mapping[str, Any], task: str) -> bool:
    """Return whether a document is this task's: by its id, or, without one, by another field of a task."""
    known = document.get("id") or document.get("_id")
    return str(known).lower() == task.lower() if known else not _TASK_FIELDS.isdisjoint(document)


def _session(profile: Any) -> Session:
    """Read both forms of the profile: with scopes, and the long one that old gateways always send."""
    try:
        user = profile.get("principal") or profile
        customer = profile.get("organization") or profile["current_customer"]
        session = Session(user["id"], customer["id"], customer["name"])
    except (AttributeError, TypeError, LookupError):
        raise UpstreamFailed("The gateway's answer is no session", code="EGATEWAY") from None
    if not all(isinstance(part, str) and part for part in (session.user_id, session.customer_id, session.customer)):
        raise UpstreamFailed("The gateway's answer is no session", code="EGATEWAY")
    return session


def _value(reply: Reply) -> Any:
    """Return the body as JSON; None where it is not JSON, or too much of it."""
    try:
        return loads_document(reply.body)
    except (ValueError, TooCostly):
        return None


def _own_answer(reply: Reply, token: str) -> Any:
    """Return TheEye's own answer for `value`, without the token; UNSET where it is not JSON, or larger than 1 MiB."""
    if len(reply.body) > WORDS_BYTES:
        return UNSET
    body = reply.body.replace(token.encode(), b"***") if len(token) > 3 else b""
    try:
        return loads_document(body)
    except (ValueError, TooCostly):
        return UNSET


def _path(*segments: str) -> str:
    """Join path segments; nothing in a segment can end it or the path."""
    return "".join(f"/{quote(segment, safe='', errors='replace')}" for segment in segments)


def _exit_code(document: Mapping[str, Any]) -> int | None:
    result = document.get("result")
    code = result.get("code") if isinstance(result, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
