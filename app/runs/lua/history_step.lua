-- Acquire or release a slot of a task, then give free slots to the first requests of its queue.
--
-- KEYS, all of one task:
--   unread     sorted set: each slot in use, with the number of creates that were done when it was given
--   queue      sorted set: each slot that a request queues for, with its number in the order of arrival
--   lease      sorted set: each slot, with the end of its lease in ms of Redis's clock
--   limits     hash: each slot, with the task's history limit that its request knows
--   creating   set: the slots whose create is not known to be done
--   numbers    hash: entered (slots given so far), done (creates done so far), arrived (requests so far)
-- ARGV: step (acquire, release, or undo: release without a created job), slot, limit, ms of the lease, prefix of the
--   channel on which a queueing request is notified of its slot, then any number of slots whose create is done
-- Returns 1 if the slot is in use, 0 if it is queued for or gone.

local unread, queue, lease, limits, creating, numbers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local step, slot, limit, lease_ms, channel = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
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

if step == 'undo' then  -- no job was created
  if redis.call('SREM', creating, slot) == 1 then redis.call('HINCRBY', numbers, 'entered', -1) end
  forget(slot)
elseif step == 'release' then
  forget(slot)
elseif not redis.call('ZSCORE', unread, slot) and not redis.call('ZSCORE', queue, slot) then
  redis.call('ZADD', queue, redis.call('HINCRBY', numbers, 'arrived', 1), slot)
  redis.call('HSET', limits, slot, limit)
end
if step == 'acquire' then redis.call('ZADD', lease, now + lease_ms, slot) end

while true do
  local first = redis.call('ZRANGE', queue, 0, 0)[1]
  if not first then break end
  local oldest = redis.call('ZRANGE', unread, 0, 0, 'WITHSCORES')[2]
  local entered = tonumber(redis.call('HGET', numbers, 'entered') or '0')
  -- Redis may have evicted the limits: no task keeps fewer than 1
  local first_limit = tonumber(redis.call('HGET', limits, first) or '1')
  if oldest and entered - tonumber(oldest) >= first_limit then break end
  redis.call('HINCRBY', numbers, 'entered', 1)
  redis.call('ZREM', queue, first)
  redis.call('ZADD', unread, redis.call('HGET', numbers, 'done') or '0', first)
  redis.call('SADD', creating, first)
  if first ~= slot then redis.call('PUBLISH', channel .. first, '') end
end

if redis.call('EXISTS', unread, queue) == 0 then  -- keep nothing: invented task ids must not fill Redis
  redis.call('DEL', unpack(KEYS))
  return 0
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, 172800000) end  -- two days: longer than any wait
return redis.call('ZSCORE', unread, slot) and 1 or 0
