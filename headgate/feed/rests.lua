-- Notes rests and tells all that run. KEYS[1]: a sorted set of targets by the end of their rest, in milliseconds of this
-- server's clock. ARGV: how many rests are kept at most, then target and duration in ms, in turns; none only asks, and a
-- duration of 0 ends one.
-- Returns targets and what is left of their rests in ms, in turns, the longest first. No rest is made shorter.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = tonumber(ARGV[1])

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for at = 2, #ARGV, 2 do
  if ARGV[at + 1] == '0' then
    redis.call('ZREM', KEYS[1], ARGV[at])
  else
    redis.call('ZADD', KEYS[1], 'GT', now + ARGV[at + 1], ARGV[at])
  end
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -most - 1)

local found = redis.call('ZREVRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 2, #found, 2 do
  found[at] = math.floor(found[at] - now)
end
if #found > 0 and #ARGV > 1 then
  redis.call('PEXPIRE', KEYS[1], found[2] + 1000)
end
return found
