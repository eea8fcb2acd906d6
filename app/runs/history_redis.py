"""The history guard's line across processes and replicas, in Redis; a dead process's places expire."""

import logging
import threading
import uuid
from collections.abc import Callable

from app.errors import TurnNeverCame
from app.runs.history import LOOK_AGAIN_SECONDS, Place
from app.runs.redis_scripts import PREFIX, Shared, SharedUnavailable
from app.waiter.notifications import TURNS, Notifications

LEASE_SECONDS = 15.0
RENEW_SECONDS = 4.0

log = logging.getLogger("theeye_sync.history")

# KEYS: unread (place -> creates that were done when it was let in), queue (place -> number of arrival),
# lease (place -> until), limits (place -> its limit), creating (places), numbers (entered, done, arrived).
# ARGV: step, place, limit, lease in ms, channel prefix, then places whose create is done.
# Whoever now has their turn is let in and told; the answer is whether the place itself is in.
_STEP = """
local unread, queue, lease, limits, creating, numbers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local step, place, limit, lease_ms, channel = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function done(member)
  if redis.call('SREM', creating, member) == 1 then redis.call('HINCRBY', numbers, 'done', 1) end
end
local function forget(member)
  done(member)
  redis.call('ZREM', unread, member)
  redis.call('ZREM', queue, member)
  redis.call('ZREM', lease, member)
  redis.call('HDEL', limits, member)
end

for at = 6, #ARGV do done(ARGV[at]) end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', lease, '-inf', now)) do forget(member) end

if step == 'undo' then  -- nothing was started: there is no newer job
  if redis.call('SREM', creating, place) == 1 then redis.call('HINCRBY', numbers, 'entered', -1) end
  forget(place)
elseif step == 'leave' then
  forget(place)
elseif not redis.call('ZSCORE', unread, place) and not redis.call('ZSCORE', queue, place) then
  redis.call('ZADD', queue, redis.call('HINCRBY', numbers, 'arrived', 1), place)
  redis.call('HSET', limits, place, limit)
end
if step == 'enter' then redis.call('ZADD', lease, now + lease_ms, place) end

while true do
  local first = redis.call('ZRANGE', queue, 0, 0)[1]
  if not first then break end
  local oldest = redis.call('ZRANGE', unread, 0, 0, 'WITHSCORES')[2]
  local entered = tonumber(redis.call('HGET', numbers, 'entered') or '0')
  if oldest and entered - tonumber(oldest) >= tonumber(redis.call('HGET', limits, first)) then break end
  redis.call('HINCRBY', numbers, 'entered', 1)
  redis.call('ZREM', queue, first)
  redis.call('ZADD', unread, redis.call('HGET', numbers, 'done') or '0', first)
  redis.call('SADD', creating, first)
  if first ~= place then redis.call('PUBLISH', channel .. first, '') end
end
if redis.call('EXISTS', unread, queue) == 0 then  -- nothing to remember: whoever makes task ids up fills no Redis
  redis.call('DEL', unpack(KEYS))
  return 0
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, 172800000) end  -- two days: longer than any wait
return redis.call('ZSCORE', unread, place) and 1 or 0
"""

_RENEW = """
local time = redis.call('TIME')
local untilms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local unread, lease, numbers = KEYS[1], KEYS[2], KEYS[3]
for at = 2, #ARGV do
  redis.call('ZADD', lease, untilms, ARGV[at])
  if not redis.call('ZSCORE', unread, ARGV[at]) then  -- forgotten by a restart, or while Redis stood still
    redis.call('HINCRBY', numbers, 'entered', 1)
    redis.call('ZADD', unread, redis.call('HGET', numbers, 'done') or '0', ARGV[at])
    redis.call('HINCRBY', numbers, 'done', 1)
  end
end
return 0
"""


class SharedLine:
    """The line of all processes; while Redis is down everybody is let in, and each process's own line holds."""

    def __init__(self, shared: Shared, notifications: Notifications) -> None:
        """The renewing thread starts with the first place, after any fork."""
        self._shared = shared
        self._notifications = notifications
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        self._in: set[str] = set()  # of those, the ones that have had their turn
        self._created: dict[str, list[str]] = {}
        self._renewer: threading.Thread | None = None

    def enter(self, task: str, limit: int, left: Callable[[], float]) -> Place:
        """One round trip where there is room; else first come, first served."""
        place, waited = uuid.uuid4().hex, False
        self._hold(place, task)
        try:
            with self._notifications.watch(place, self._notifications.epoch) as called:
                while not self._step("enter", task, place, limit):
                    if (seconds := left()) <= 0:
                        raise TurnNeverCame
                    waited = True
                    called.wait(min(seconds, LOOK_AGAIN_SECONDS))
                    called.clear()
        except SharedUnavailable:
            pass  # what it comes to is said by `readyz`
        except BaseException:
            self.leave(task, place)
            raise
        self._in.add(place)
        return Place(place, waited)

    def created(self, task: str, place: str) -> None:
        """No round trip: told to the others with this process's next step for the task."""
        with self._lock:
            self._created.setdefault(task, []).append(place)

    def leave(self, task: str, place: str, nothing_started: bool = False) -> None:
        """One round trip; a place that cannot be left expires."""
        with self._lock:
            self._held.pop(place, None)
            self._in.discard(place)
        try:
            self._step("undo" if nothing_started else "leave", task, place, 0)
        except SharedUnavailable as error:
            log.debug("a place is left to expire: %s", error)

    def _step(self, step: str, task: str, place: str, limit: int) -> bool:
        with self._lock:
            created = self._created.pop(task, [])
        arguments: list[str | int | float] = [
            step,
            place,
            limit,
            int(LEASE_SECONDS * 1000),
            TURNS.removesuffix("*"),
            *created,
        ]
        return bool(self._shared.run(_STEP, _keys(task), arguments))

    def _hold(self, place: str, task: str) -> None:
        with self._lock:
            self._held[place] = task
            if self._renewer is None or not self._renewer.is_alive():
                self._renewer = threading.Thread(target=self._renew, name="theeye-sync-places", daemon=True)
                self._renewer.start()

    def _renew(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(RENEW_SECONDS)
            with self._lock:
                held = list(self._held.items())
            if held:
                try:
                    for task in {task for _, task in held}:
                        unread, _, lease, _, _, numbers = _keys(task)
                        places = [place for place, of in held if of == task and place in self._in]
                        if places:
                            self._shared.run(_RENEW, [unread, lease, numbers], (int(LEASE_SECONDS * 1000), *places))
                        for place in places:
                            if place not in self._in:  # left meanwhile, and brought back by us
                                self._step("leave", task, place, 0)
                except SharedUnavailable as error:
                    log.debug("places were not renewed: %s", error)
                except Exception:
                    log.exception("renewing places")


def _keys(task: str) -> list[str]:
    return [f"{PREFIX}:{{{task}}}:{part}" for part in ("unread", "queue", "lease", "limits", "creating", "numbers")]
