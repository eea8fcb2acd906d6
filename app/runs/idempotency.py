"""Let a repeated request join the existing job: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

A key's record in Redis contains which request may create the job, a fingerprint of the request and the job's id, but
never an answer. lua/key_*.lua change it; lua/key_reserve.lua lists its fields.
"""

import hashlib
import logging
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from app.errors import BadRequest, KeyRefused, KeysUnavailable, RunUnknown, StillStarting, SyncError
from app.runs.redis_scripts import CALL_SECONDS, RedisScripts, RedisUnavailable
from app.theeye.callers import TASK, Runnable, Session
from app.waiter.redis_names import PREFIX

KEPT_SECONDS = 24 * 3600  # a record is deleted after this time
LEASE_SECONDS = 10.0  # a reservation expires after this time without renewal
RENEW_SECONDS = 3.0
POLL_SECONDS = 0.05, 0.5  # the first and the longest pause of a request that waits for the job id of another one

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

log = logging.getLogger("theeye_sync.idempotency")


@dataclass(frozen=True, slots=True)
class Key:
    """Hold the name of a key's record, and the fingerprint of the request."""

    record: str
    fingerprint: str


def read_key(header: str | None, session: Session, runs: Runnable, query: str, body: bytes | None) -> Key | None:
    """Return the request's key, or None without the header. Raise BadRequest for an invalid one.

    The keys of workflows differ from those of tasks.
    """
    if header is None:
        return None
    key = header.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':  # the draft's form is a quoted string
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key must be 1 to 255 visible ASCII characters")
    kind = () if runs.kind == TASK else (runs.kind,)  # so that the names in Redis of tasks stay
    scope = _digest(session.customer_id, session.user_id, key, *kind)
    return Key(f"{PREFIX}:key:{scope}", _digest(runs.name, query, (body or b"").decode("latin-1")))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


class Reservation:
    """Reserve a key for the first request with it."""

    def __init__(self, scripts: RedisScripts, key: Key, owner: str, reserved_ms: int, create_seconds: float) -> None:
        """Take the reservation of Keys.reserve; `reserved_ms` is its time by Redis's clock."""
        self._scripts = scripts
        self._key, self._owner = key, owner
        self._reserved_ms = reserved_ms
        self._reserved = self._renewed = monotonic()
        self._create_seconds = create_seconds

    def renew(self) -> None:
        """Renew the reservation's lease; call this at least every second while the request queues.

        A failure is only logged: `creating` finds out whether the key was lost.
        """
        if monotonic() - self._renewed > RENEW_SECONDS:
            self._renewed = monotonic()
            try:
                self._run("key_renew", int(LEASE_SECONDS * 1000))
            except RedisUnavailable as error:
                log.debug("a key was not renewed: %s", error)

    def creating(self) -> None:
        """Record that the create is about to be sent. Raise KeysUnavailable if it must not be sent."""
        latest_ms = self._reserved_ms + (monotonic() - self._reserved + CALL_SECONDS) * 1000
        try:
            still_ours = self._run("key_creating", int(latest_ms), int(self._create_seconds * 1000))
        except RedisUnavailable as error:
            raise _unavailable(error) from None
        if not still_ours:
            raise KeysUnavailable("The Idempotency-Key was lost while the request queued, nothing was started")

    def confirm(self, job_id: str) -> None:
        """Store the job's id, so that a repeated request joins the job."""
        _confirm(self._scripts, self._key, self._owner, job_id)

    def settle(self, error: SyncError) -> None:
        """Free the key after a failed create, unless a job may exist: the task must not run a second time."""
        if error.job is not None:
            return
        try:
            self._run("key_abandon" if error.may_have_started else "key_release")
        except RedisUnavailable as unavailable:
            log.warning("a key stays reserved until its lease ends: %s", unavailable)

    def _run(self, script: str, *arguments: int) -> bool:
        return bool(self._scripts.run(script, [self._key.record], [self._owner, *arguments]))


class _KeyState(NamedTuple):
    """Name the values that lua/key_reserve.lua returns."""

    reserved: int
    same_request: int
    ms: int
    job_id: bytes


class Keys:
    """Reserve keys; each is remembered for 24 hours."""

    def __init__(self, scripts: RedisScripts, call_timeout: float) -> None:
        """Connect to nothing yet; a create takes at most `call_timeout` seconds."""
        self._scripts = scripts
        self._create_seconds = call_timeout + 5

    def reserve(self, key: Key, lease: float, seconds_left: Callable[[], float]) -> Reservation | str:
        """Return a reservation for the first request with a key, or the job's id for a repeated one.

        Wait while the first request creates its job. The reservation stays valid for `lease` seconds without renewal;
        `seconds_left` returns how long the caller can still wait.
        Raise KeyRefused, RunUnknown, StillStarting or KeysUnavailable; this request has started nothing then.
        """
        pause, longest = POLL_SECONDS
        owner = uuid.uuid4().hex
        while True:
            answer = self._try(key, lease, owner)
            if answer.reserved:
                return Reservation(self._scripts, key, owner, answer.ms, self._create_seconds)
            if not answer.same_request:
                raise KeyRefused("This Idempotency-Key was used for another task, workflow, body or query")
            if answer.job_id:
                return answer.job_id.decode()
            if answer.ms <= 0:
                raise RunUnknown("What a request with this Idempotency-Key did is unknown, its job may have started")
            if (seconds := seconds_left()) <= 0:
                raise StillStarting("A request with this Idempotency-Key is still starting its job")
            threading.Event().wait(min(pause, seconds))
            pause = min(pause * 1.5, longest)

    def keep(self, key: Key, job_id: str) -> None:
        """Store the id of a key's job if Redis has lost the record; do not change an existing record."""
        _confirm(self._scripts, key, uuid.uuid4().hex, job_id)

    def _try(self, key: Key, lease: float, owner: str) -> _KeyState:
        arguments = (key.fingerprint, int(lease * 1000), KEPT_SECONDS * 1000, owner)
        try:
            return _KeyState(*self._scripts.run("key_reserve", [key.record], arguments))
        except RedisUnavailable as error:
            raise _unavailable(error) from None


def _confirm(scripts: RedisScripts, key: Key, owner: str, job_id: str) -> None:
    arguments = (owner, job_id, key.fingerprint, KEPT_SECONDS * 1000)
    for attempt in (1, 2):
        try:
            scripts.run("key_confirm", [key.record], arguments, despite_failure=True)
            return
        except RedisUnavailable as error:
            log.warning("the id of job %s was not stored for its key (attempt %d): %s", job_id, attempt, error)


def _unavailable(error: RedisUnavailable) -> KeysUnavailable:
    return KeysUnavailable(f"Idempotency keys cannot be kept just now, nothing was started: {error}")
