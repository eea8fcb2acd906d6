"""Tell what a refusal means, TheEye's or that of a proxy before it: a refused call has had no effect."""

import re
from typing import Any

from app.errors import UNSET, OutcomeUnknown, Refused, TheEyeBusy, Unauthorized, UpstreamFailed
from app.theeye.jobs import Job
from app.theeye.replies import message_of, retry_after, shown_value
from app.theeye.transport import Reply

# Both servers answer 500 for a member who was removed while the session lives. The supervisor has asked the gateway
# then, and says that it failed; the gateway says which part is missing, or what its own bug there says.
_SUPERVISOR_WITHOUT_SESSION = re.compile("authentication failed", re.IGNORECASE)
_GATEWAY_WITHOUT_MEMBER = re.compile(
    "authentication failed|invalid session|no members|cannot read propert.*\\bid\\b", re.IGNORECASE
)

# Of a proxy before the gateway, for what the client has sent, or for where it comes from; others are for what we send.
_REFUSED_BY_PROXY = frozenset({403, 413, 431})


def check_gateway(reply: Reply, token: str) -> None:
    """Raise Unauthorized for a token that the gateway does not know, TheEyeBusy where it takes no more calls now.

    Raise Refused where a proxy before it refuses the client.
    """
    if reply.status == 401 or _is_500_with(_GATEWAY_WITHOUT_MEMBER, reply):
        raise Unauthorized
    _check_busy(reply, f"The gateway answered with status {reply.status}")
    if reply.status in _REFUSED_BY_PROXY:
        raise _refused(reply, shown_value(reply, token))


def check_supervisor(reply: Reply, token: str, job: Job | None = None) -> None:
    """Raise where a call about `job`, or one without a job, is refused: Unauthorized, TheEyeBusy or Refused.

    Raise UpstreamFailed where the proxy on our side of the supervisor asks for other credentials than it gets.
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
    """Return the error of a create that was neither accepted nor refused.

    `relayed`: a proxy may have answered instead of TheEye, also after it had passed the create on.
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
    """Raise where a server takes no more calls now (RFC 6585, 4); a 503 that does not say how long is any failure."""
    later = retry_after(reply)
    if reply.status == 429 or (reply.status == 503 and later):
        raise TheEyeBusy(message, status=reply.status, value=value, job=job, retry_after=later)


def _is_500_with(words: re.Pattern[str], reply: Reply) -> bool:
    return reply.status == 500 and words.match(message_of(reply)) is not None
