-- Reserve an idempotency key for a request, or return the state of the request that has reserved it.
--
-- KEYS[1]: the key's record, a hash of
--   fingerprint   of the task, query and body of the first request
--   owner         a random id of that request
--   until         end of its reservation, in ms of Redis's clock
--   creating      1 once its create may have been sent; before that, another request can take over an expired reservation
--   job           the id of its job, once it is known
-- ARGV: fingerprint, ms that the reservation stays valid, ms that the record is kept, owner
-- Returns {1 if reserved, 1 if the fingerprints are equal, ms, job id or ''}; ms is the current time of Redis's clock if
-- reserved, else the time for which the other reservation stays valid.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local record = redis.call('HMGET', KEYS[1], 'fingerprint', 'until', 'job', 'creating')
if record[1] and (record[3] or record[4] or tonumber(record[2]) > now) then
  return {0, record[1] == ARGV[1] and 1 or 0, tonumber(record[2]) - now, record[3] or ''}
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'until', now + tonumber(ARGV[2]), 'owner', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, 1, now, ''}
