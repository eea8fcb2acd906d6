-- Renew the leases of slots in use; restore slots that Redis lost in a restart, or whose lease ended while it was frozen.
--
-- KEYS: unread, lease, numbers (see history_step.lua)
-- ARGV: ms of the lease, then the slots
-- Returns 0.

local unread, lease, numbers = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
for at = 2, #ARGV do
  redis.call('ZADD', lease, until_ms, ARGV[at])
  if not redis.call('ZSCORE', unread, ARGV[at]) then
    redis.call('HINCRBY', numbers, 'entered', 1)
    redis.call('ZADD', unread, redis.call('HGET', numbers, 'done') or '0', ARGV[at])
    redis.call('HINCRBY', numbers, 'done', 1)
  end
end
return 0
