-- Says what marks the completions of a tenant; it is chosen once, and forgotten with the last of them.
--
-- KEYS  1: the mark
-- ARGV  1: the mark, if there is none   2: how long it is kept in s

local mark = redis.call("GET", KEYS[1])
if not mark then
  mark = ARGV[1]
  redis.call("SET", KEYS[1], mark)
end
redis.call("EXPIRE", KEYS[1], ARGV[2])
return mark
