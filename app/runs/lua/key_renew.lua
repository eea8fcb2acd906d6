-- Renew the lease of a reservation.
--
-- KEYS[1]: the key's record (see key_reserve.lua)
-- ARGV: owner, ms that the reservation stays valid from now on
-- Returns 1, or 0 if the key now belongs to another request.

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2]))
return 1
