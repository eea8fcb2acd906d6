-- Store the job's id; write the whole record again if Redis has lost it in a restart.
--
-- KEYS[1]: the key's record (see key_reserve.lua)
-- ARGV: owner, job id, fingerprint, ms that the record is kept
-- Returns 1, or 0 if the key now belongs to another request.

local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[3], 'owner', ARGV[1], 'until', 0, 'creating', 1, 'job', ARGV[2])
if not owner then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
