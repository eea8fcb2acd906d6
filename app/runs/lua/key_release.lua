-- Delete the record of a request that started nothing: the key is free again.
--
-- KEYS[1]: the key's record (see key_reserve.lua)
-- ARGV: owner
-- Returns 1, or 0 if the key now belongs to another request.

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
