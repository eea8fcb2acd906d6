-- Try every command that the service's scripts call; tests/checks/test_redis.py compares this list with the scripts.
--
-- KEYS: a hash, a sorted set and a set, made for this check and deleted at its end
-- ARGV: a channel
-- Returns the names of the commands that Redis refuses, or the error of a Redis that accepts no writes at all (OOM,
-- MISCONF, NOREPLICAS), which has its own code.

local refused, failed = {}, nil
local function try(name, ...)
  local answer = redis.pcall(name, ...)
  if type(answer) ~= 'table' or not answer.err then return end
  local code = answer.err:match('^(%u+) ')
  if code and code ~= 'ERR' and code ~= 'NOPERM' then failed = answer.err end
  table.insert(refused, name)
end

try('TIME')
try('HSET', KEYS[1], 'a', 1)
try('HGET', KEYS[1], 'a')
try('HMGET', KEYS[1], 'a', 'b')
try('HINCRBY', KEYS[1], 'a', 1)
try('HDEL', KEYS[1], 'b')
try('ZADD', KEYS[2], 1, 'a')
try('ZSCORE', KEYS[2], 'a')
try('ZRANGE', KEYS[2], 0, 0)
try('ZRANGEBYSCORE', KEYS[2], '-inf', 1)
try('ZREM', KEYS[2], 'b')
try('SADD', KEYS[3], 'a')
try('SREM', KEYS[3], 'b')
try('PUBLISH', ARGV[1], '')
try('EXISTS', KEYS[1], KEYS[2])
for _, key in ipairs(KEYS) do try('PEXPIRE', key, 1000) end
for _, key in ipairs(KEYS) do try('DEL', key) end
return failed and redis.error_reply(failed) or refused
