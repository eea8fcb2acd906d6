"""Turn a refusal by TheEye, or by a proxy in front of it, into an error. A refused call has no effect."""

import re
from typing import Any

from app.errors import UNSET, OutcomeUnknown, Refused, TheEyeBusy, Unauthorized, UpstreamFailed
from app.theeye.jobs import Job
from app.theeye.replies import message_of, retry_after, shown_value
from app.theeye.transport import Reply

# Both servers answer 500 to the session of a user who was removed from the organisation. The supervisor reports that
# its call to the gateway failed; the gateway names the missing part, or the message of its own bug there.
_SUPERVISOR_WITHOUT_SESSION = re.compile("authentication failed", re.IGNORECASE)
_GATEWAY_WITHOUT_MEMBER = re.compile(
    "authentication failed|invalid session|no members|cannot read propert.*\\bid\\b", re.IGNORECASE
)

# Statuses by which a proxy in front of the gateway refuses the client's request; others concern this service's own.
_REFUSED_BY_PROXY = frozenset({403, 413, 431})


def check_gateway(reply: Reply, token: str) -> None:
    """Raise Unauthorized if the gateway does not know the token, TheEyeBusy if it accepts no more calls now.

    Raise Refused if a proxy in front of it refuses the client.
    """
    if reply.status == 401 or _is_500_with(_GATEWAY_WITHOUT_MEMBER, reply):
        raise Unauthorized
    _check_busy(reply, f"The gateway answered with status {reply.status}")
    if reply.status in _REFUSED_BY_PROXY:
        raise _refused(reply, shown_value(reply, token))


def check_supervisor(reply: Reply, token: str, job: Job | None = None) -> None:
    """Raise Unauthorized, TheEyeBusy or Refused if the supervisor refuses a call, which may be about a `job`.

    Raise UpstreamFailed if the proxy of this service does not accept its credentials (407).
    """
    if reply.status == 401 or _is_500_with(_SUPERVISOR_WITHOUT_SESSION, reply):
        raise Unauthorized(job=job)
    consequence = "" if job else ", nothing was started"
    if reply.status == 407:
        raise UpstreamFailed(f"The proxy before the supervisor needs other credentials{consequence}", job=job)
    value = shown_value(reply, token)
    _check_busy(reply, f"TheEye is too busy{consequence}", value, job)
    if 400 <= reply.status < 500:
        raise _refused(reply, value, job)


def failed_create(reply: Reply, token: str, relayed: bool) -> UpstreamFailed:
    """Return the error for a create that was neither accepted nor refused.

    `relayed` means that a proxy may have answered instead of TheEye, also after it had forwarded the create.
    """
    may_have_started = not 300 <= reply.status < 400 or reply.status == 303
    consequence = "the job may have started" if may_have_started else "nothing was started"
    return UpstreamFailed(
        f"The supervisor answered the create with status {reply.status}, {consequence}",
        code=OutcomeUnknown.code if reply.status < 300 or (relayed and may_have_started) else None,
        value=shown_value(reply, token),
        may_have_started=may_have_started,
    )


def _refused(reply: Reply, value: Any, job: Job | None = None) -> Refused:
    message = "Invalid Request" if value is not UNSET else f"Refused before TheEye, with status {reply.status}"
    return Refused(message, status=reply.status, value=value, job=job, retry_after=retry_after(reply))


def _check_busy(reply: Reply, message: str, value: Any = UNSET, job: Job | None = None) -> None:
    """Raise TheEyeBusy for 429 (RFC 6585, 4), and for 503 with Retry-After; a 503 without it is an ordinary failure."""
    later = retry_after(reply)
    if reply.status == 429 or (reply.status == 503 and later):
        raise TheEyeBusy(message, status=reply.status, value=value, job=job, retry_after=later)


def _is_500_with(words: re.Pattern[str], reply: Reply) -> bool:
    return reply.status == 500 and words.match(message_of(reply)) is not None
