-- Record that the create is about to be sent: from now on no other request can take over the key.
--
-- KEYS[1]: the key's record (see key_reserve.lua)
-- ARGV: owner, the latest time for this step in ms of Redis's clock, ms that the create may take
-- Returns 1, or 0 if the create must not be sent: the key belongs to another request, or Redis runs this step so late
-- that the request has given up.

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'creating', 1, 'until', now + tonumber(ARGV[3]))
return 1
