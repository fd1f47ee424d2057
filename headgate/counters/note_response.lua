-- Notes who made a response. The newest of a tenant are kept, each for a time; those beyond go, some with every note.
--
-- KEYS  1: who made what, by id   2: the ids by when they were noted
-- ARGV  1: the id   2: who made it   3: how long it is kept in s   4: how many are kept   5: how many go at most

local call = redis.call
local now, keep = tonumber(call("TIME")[1]), tonumber(ARGV[3])

local function forget(ids)
  if #ids == 0 then return end
  call("HDEL", KEYS[1], unpack(ids))
  call("ZREM", KEYS[2], unpack(ids))
end

call("HSET", KEYS[1], ARGV[1], ARGV[2])
call("ZADD", KEYS[2], now, ARGV[1])
forget(call("ZRANGEBYSCORE", KEYS[2], "-inf", now - keep, "LIMIT", 0, ARGV[5]))
local beyond = call("ZCARD", KEYS[2]) - tonumber(ARGV[4])
if beyond > 0 then forget(call("ZRANGE", KEYS[2], 0, math.min(beyond, tonumber(ARGV[5])) - 1)) end
call("EXPIRE", KEYS[1], keep)
call("EXPIRE", KEYS[2], keep)
return beyond
