-- End a reservation whose create may have started a job with an unknown id: the key can never start another job.
--
-- KEYS[1]: the key's record (see key_reserve.lua)
-- ARGV: owner
-- Returns 1, or 0 if the key now belongs to another request.

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'until', 0)
return 1
