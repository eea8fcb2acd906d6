"""`Idempotency-Key` (IETF draft-ietf-httpapi-idempotency-key-header): a repeated request joins the run that exists.

What is stored is who may use the key, what was asked for, and the job's id; never an answer.
"""

import hashlib
import logging
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from app.errors import BadRequest, KeyRefused, KeysUnavailable, RunUnknown, StillStarting, SyncError
from app.runs.redis_scripts import CALL_SECONDS, PREFIX, Shared, SharedUnavailable
from app.theeye.client import Session

KEPT_SECONDS = 24 * 3600
LEASE_SECONDS = 10.0  # how long a request is believed in that has kept its key and is not heard of; it renews it
RENEW_SECONDS = 3.0
LOOK_AGAIN_SECONDS = 0.05, 0.5

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

log = logging.getLogger("theeye_sync.idempotency")

# KEYS: the record, a hash: fingerprint, owner (who reserved it), until (ms: the end of the reservation),
# creating (1 once a create may be on its way) and job. A reservation that was left before that may be taken over.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local record = redis.call('HMGET', KEYS[1], 'fingerprint', 'until', 'job', 'creating')
if record[1] and (record[3] or record[4] or tonumber(record[2]) > now) then
  return {0, record[1] == ARGV[1] and 1 or 0, tonumber(record[2]) - now, record[3] or ''}
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'until', now + tonumber(ARGV[2]), 'owner', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, 1, now, ''}
"""
_OWNED = "if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end\n"
_CREATING = (
    _OWNED
    + """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[2]) then return 0 end  -- carried out late, its caller has given up
redis.call('HSET', KEYS[1], 'creating', 1, 'until', now + tonumber(ARGV[3]))
return 1
"""
)
# A Redis that was restarted has lost the record: it is written anew.
_CONFIRM = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[3], 'owner', ARGV[1], 'until', 0, 'creating', 1, 'job', ARGV[2])
if not owner then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
"""
_RENEW = (
    _OWNED
    + """
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2]))
return 1
"""
)
_ABANDON = _OWNED + "redis.call('HSET', KEYS[1], 'until', 0) return 1"
_RELEASE = _OWNED + "return redis.call('DEL', KEYS[1])"


@dataclass(frozen=True, slots=True)
class Key:
    """A key in its scope, with what was asked for under it."""

    record: str
    fingerprint: str


def read_key(header: str | None, session: Session, task: str, query: str, body: bytes | None) -> Key | None:
    """The request's key, None without the header. Raises BadRequest for one that cannot be used."""
    if header is None:
        return None
    key = header.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':  # the draft's form is a quoted string
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key must be 1 to 255 visible ASCII characters")
    scope = _digest(session.customer_id, session.user_id, key)
    return Key(f"{PREFIX}:key:{scope}", _digest(task.lower(), query, (body or b"").decode("latin-1")))


class Reservation:
    """What a request holds that goes first with its key."""

    def __init__(self, shared: Shared, key: Key, owner: str, reserved_ms: int, create_seconds: float) -> None:
        """Made by Keys.reserve; `reserved_ms`: when, by Redis's clock."""
        self._reserved_ms = reserved_ms
        self._reserved = self._renewed = monotonic()
        self._create_seconds = create_seconds
        self.confirmed = False
        self._shared = shared
        self._record, self._fingerprint = key.record, key.fingerprint
        self._owner = owner

    def renew(self) -> None:
        """To be called at least every second while the request queues; where that fails, `creating` tells."""
        if monotonic() - self._renewed > RENEW_SECONDS:
            self._renewed = monotonic()
            try:
                self._run(_RENEW, int(LEASE_SECONDS * 1000))
            except SharedUnavailable as error:
                log.debug("a key was not renewed: %s", error)

    def creating(self) -> None:
        """The create is about to be sent: from now on a run may exist. Raises KeysUnavailable; then none does."""
        try:
            last_ms = self._reserved_ms + (monotonic() - self._reserved + CALL_SECONDS) * 1000
            still_ours = self._run(_CREATING, int(last_ms), int(self._create_seconds * 1000))
        except SharedUnavailable as error:
            raise KeysUnavailable(f"Idempotency keys cannot be kept just now, nothing was started: {error}") from None
        if not still_ours:
            raise KeysUnavailable("The Idempotency-Key was lost while the request queued, nothing was started")

    def confirm(self, job_id: str) -> None:
        """The job exists: whoever repeats the request joins it."""
        for attempt in (1, 2):
            try:
                arguments: list[str | int | float] = [self._owner, job_id, self._fingerprint, KEPT_SECONDS * 1000]
                self._shared.run(_CONFIRM, [self._record], arguments, insist=True)
                self.confirmed = True
                return
            except SharedUnavailable as error:
                log.warning("the id of job %s was not kept for its key (attempt %d): %s", job_id, attempt, error)

    def settle(self, error: SyncError) -> None:
        """The create failed: the key is free again, unless a job may exist; that is never run a second time."""
        if error.job is not None:
            return
        try:
            self._run(_ABANDON if error.may_have_started else _RELEASE)
        except SharedUnavailable as unavailable:
            log.warning("a key stays reserved until its lease is over: %s", unavailable)

    def _run(self, script: str, *arguments: str | int) -> bool:
        return bool(self._shared.run(script, [self._record], [self._owner, *arguments]))


class Keys:
    """All keys of the last 24 hours."""

    def __init__(self, shared: Shared, call_timeout: float) -> None:
        """Connects to nothing yet; `call_timeout` in seconds, how long a create may take."""
        self._shared = shared
        self._create_seconds = call_timeout + 5

    def reserve(self, key: Key, lease: float, left: Callable[[], float]) -> Reservation | str:
        """A reservation for the first request, the job's id for a repeated one; waits while the first one starts.

        Raises KeyRefused, RunUnknown, StillStarting or KeysUnavailable; then nothing was started.
        """
        pause, most = LOOK_AGAIN_SECONDS
        while True:
            owner = uuid.uuid4().hex
            ours, same, ms, job_id = self._ask(key, lease, owner)
            if ours:
                return Reservation(self._shared, key, owner, ms, self._create_seconds)
            if not same:
                raise KeyRefused("This Idempotency-Key was used for another task, body or query")
            if job_id:
                return job_id
            if ms <= 0:
                raise RunUnknown("A request with this Idempotency-Key was lost on the way, its job may have started")
            if (seconds := left()) <= 0:
                raise StillStarting("A request with this Idempotency-Key is still starting its job")
            threading.Event().wait(min(pause, seconds))
            pause = min(pause * 1.5, most)

    def _ask(self, key: Key, lease: float, owner: str) -> tuple[bool, bool, int, str]:
        arguments = (key.fingerprint, int(lease * 1000), KEPT_SECONDS * 1000, owner)
        try:
            ours, same, ms, job_id = self._shared.run(_RESERVE, [key.record], arguments)
        except SharedUnavailable as error:
            raise KeysUnavailable(f"Idempotency keys cannot be kept just now, nothing was started: {error}") from None
        return bool(ours), bool(same), int(ms), job_id.decode()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
