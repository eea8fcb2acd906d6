-- Add runs of a task to those of all processes, keep the newest, and return them.
--
-- KEYS[1]: the task's runs, a sorted set: "<duration in seconds> <job id>", sorted by the end in seconds since 1970
-- ARGV: number of runs to keep, lifetime in ms, then for each run: job id, duration, end
-- Returns the set: each run, followed by its end.

local runs, most, kept_ms = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local known = {}
for _, run in ipairs(redis.call('ZRANGE', runs, 0, -1)) do known[run:match('^%S+ (.*)$')] = true end
for at = 3, #ARGV, 3 do
  if not known[ARGV[at]] then redis.call('ZADD', runs, ARGV[at + 2], ARGV[at + 1] .. ' ' .. ARGV[at]) end
end
for _, run in ipairs(redis.call('ZRANGE', runs, 0, -most - 1)) do redis.call('ZREM', runs, run) end
redis.call('PEXPIRE', runs, kept_ms)
return redis.call('ZRANGE', runs, 0, -1, 'WITHSCORES')
