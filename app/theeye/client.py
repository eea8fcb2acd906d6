"""TheEye as this service sees it: who is this token (gateway), create a job and look at it (supervisor)."""

from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote

from app.errors import (
    UNSET,
    JobGone,
    OutcomeUnknown,
    Refused,
    Unauthorized,
    Unavailable,
    UpstreamFailed,
)
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.theeye.transport import AnswerTooLarge, NotSent, Reply, Transport, TransportError
from formatters.jsontext import loads_document

Job = dict[str, Any]

ENDED = frozenset({"finished", "terminated", "canceled", "expired", "completed"})


_GONE = (
    "TheEye no longer has the job: newer jobs of its task may have pushed it out before it was read. "
    "Raise the task's autoremove_completed_jobs_limit"
)


def has_ended(lifecycle: Any) -> bool:
    """Whether a lifecycle is one of those that a job never leaves."""
    return isinstance(lifecycle, str) and lifecycle in ENDED


@dataclass(frozen=True, slots=True)
class Session:
    """Whose token it is; a session belongs to one customer."""

    user_id: str
    customer_id: str
    customer: str


def authorization(token: str) -> tuple[str, str]:
    """Return the header that carries a bearer token (RFC 6750)."""
    return "Authorization", f"Bearer {token}"


def header_pairs(lines: str) -> list[tuple[str, str]]:
    """Return the name and value of each header line."""
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines.splitlines())]


class _Upstream:
    """A server of TheEye's, the calls to which are counted."""

    transport: Transport
    _metrics: Metrics | None

    def _call(
        self,
        kind: str,
        method: str,
        path: str,
        token: str,
        headers: str,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """One call. Raises TransportError."""
        pairs = [*header_pairs(headers), authorization(token)]
        if self._metrics is None:
            return self.transport.call(method, path, pairs, body, timeout)
        status: int | str = "lost"
        try:
            reply = self.transport.call(method, path, pairs, body, timeout)
            status = reply.status
        except NotSent:
            status = "not_sent"
            raise
        finally:
            self._metrics.call(kind, status)
        return reply


class Gateway(_Upstream):
    """The part of TheEye that knows the tokens."""

    _PROFILE = "/api/session/profile?scopes[]=principal&scopes[]=organization"

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        """Connects to nothing yet."""
        self._metrics = metrics
        self.transport = Transport(
            settings.gateway_url,
            settings.connect_timeout,
            settings.call_timeout,
            settings.max_job,
            settings.client_cert,
        )

    def session(self, token: str, headers: str = "") -> Session:
        """The token's session. Raises Unauthorized, or UpstreamFailed where the gateway gives no clear answer."""
        try:
            reply = self._call("session", "GET", self._PROFILE, token, headers)
        except TransportError as error:
            raise UpstreamFailed(f"The gateway did not answer: {error}", code="EGATEWAY") from None
        if reply.status == 401:
            raise Unauthorized
        if reply.status != 200:
            raise UpstreamFailed(f"The gateway answered with status {reply.status}", code="EGATEWAY")
        return _session(_value(reply))


class Supervisor(_Upstream):
    """The part of TheEye that runs the tasks; `headers` are further lines for a call."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        """Connects to nothing yet."""
        self._metrics = metrics
        self.transport = Transport(
            settings.supervisor_url,
            settings.connect_timeout,
            settings.call_timeout,
            settings.max_job,
            settings.client_cert,
        )

    def create(self, customer: str, task: str, token: str, query: str, body: bytes | None, headers: str = "") -> Job:
        """Starts the task. Raises Refused, Unauthorized, UpstreamFailed, or OutcomeUnknown; never tried twice."""
        path = f"/{_segment(customer)}/task/{_segment(task)}/job" + (f"?{query}" if query else "")
        try:
            reply = self._call("create", "POST", path, token, headers, body)
        except NotSent as error:
            message = f"The supervisor cannot be reached, nothing was started: {error}"
            raise UpstreamFailed(message) from None
        except TransportError as error:
            message = f"The answer to the create was lost, the job may have started: {error}"
            raise OutcomeUnknown(message) from None
        if reply.status != 200 and reply.status != 201:
            _refuse(reply, token)
        job = _value(reply)
        if not isinstance(job, dict) or not isinstance(job.get("id"), str) or not job["id"]:
            message = "The supervisor's answer to the create is no job, but the job may have started"
            raise UpstreamFailed(message, code=OutcomeUnknown.code, may_have_started=True)
        return job

    def task(self, customer: str, task: str, token: str, timeout: float, headers: str = "") -> Job | None:
        """The task's own document; None where it cannot be had, whatever the reason."""
        try:
            path = f"/{_segment(customer)}/task/{_segment(task)}"
            reply = self._call("task", "GET", path, token, headers, timeout=timeout)
        except TransportError:
            return None
        document = _value(reply) if reply.status == 200 else None
        return document if isinstance(document, dict) else None

    def read(self, customer: str, job_id: str, token: str, timeout: float | None = None, headers: str = "") -> Job:
        """The whole job. Raises Unavailable for what may pass, JobGone, Unauthorized or UpstreamFailed."""
        job = self._look("read", f"/{_segment(customer)}/job/{_segment(job_id)}", job_id, token, timeout, headers)
        if not isinstance(job, dict):
            raise Unavailable("The supervisor answered with something that is no job")
        return job

    def lifecycle(self, customer: str, job_id: str, token: str, timeout: float | None = None, headers: str = "") -> str:
        """Only how far the job is; raises as `read` does."""
        path = f"/{_segment(customer)}/job/{_segment(job_id)}/lifecycle"
        lifecycle = self._look("lifecycle", path, job_id, token, timeout, headers)
        if not isinstance(lifecycle, str):
            raise Unavailable("The supervisor answered with something that is no lifecycle")
        return lifecycle

    def cancel(self, customer: str, job_id: str, token: str, headers: str = "") -> None:
        """Asks for the end of a job; TheEye says yes even when nothing could be cancelled. Raises as `read` does."""
        self._ask("cancel", "PUT", f"/{_segment(customer)}/job/{_segment(job_id)}/cancel", job_id, token, None, headers)

    def _look(self, kind: str, path: str, job_id: str, token: str, timeout: float | None, headers: str) -> Any:
        return _value(self._ask(kind, "GET", path, job_id, token, timeout, headers))

    def _ask(
        self, kind: str, method: str, path: str, job_id: str, token: str, timeout: float | None, headers: str
    ) -> Reply:
        """One call about a job, which may be repeated."""
        job = {"id": job_id}
        try:
            reply = self._call(kind, method, path, token, headers, timeout=timeout)
        except AnswerTooLarge as error:
            raise UpstreamFailed(f"The job is too large: {error}", code="EJOBTOOLARGE", job=job) from None
        except TransportError as error:
            raise Unavailable(f"The supervisor did not answer: {error}", job=job) from None
        if 200 <= reply.status < 300:
            return reply
        if reply.status in (400, 404) and _value(reply) is not None:  # 400: no id; without JSON it is not TheEye's
            raise JobGone(_GONE, job=job)
        if reply.status == 401:
            raise Unauthorized(job=job)
        if 400 <= reply.status < 500 and reply.status not in (400, 404, 408, 425, 429):
            message = f"The supervisor refused to show the job, with status {reply.status}"
            raise UpstreamFailed(message, value=_words(reply, token), job=job)
        raise Unavailable(f"The supervisor answered with status {reply.status}", job=job)


def _refuse(reply: Reply, token: str) -> NoReturn:
    """Raises what a create that was not accepted comes to."""
    if reply.status == 401:
        raise Unauthorized
    if 400 <= reply.status < 500:
        raise Refused("Invalid Request", status=reply.status, value=_words(reply, token))
    started = not 300 <= reply.status < 400 or reply.status == 303
    fate = "the job may have started" if started else "nothing was started"
    message = f"The supervisor answered the create with status {reply.status}, {fate}"
    code = OutcomeUnknown.code if reply.status < 300 else None
    raise UpstreamFailed(message, code=code, value=_words(reply, token), may_have_started=started)


def _session(profile: Any) -> Session:
    """Both forms of the profile: with scopes, and the long one that old gateways always send."""
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
    """The body as JSON; None where it is none."""
    try:
        return loads_document(reply.body)
    except ValueError:
        return None


def _words(reply: Reply, token: str) -> Any:
    """TheEye's own answer for `value`, without the token; unset where it is not JSON."""
    body = reply.body.replace(token.encode(), b"***") if len(token) > 3 else b""
    try:
        return loads_document(body)
    except ValueError:
        return UNSET


def _segment(text: str) -> str:
    """One path segment: nothing in it can end the segment or the path."""
    return quote(text, safe="", errors="replace")
