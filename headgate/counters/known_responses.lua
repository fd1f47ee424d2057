-- Says of each id who made it, or false, as find_response.lua does. Changes nothing.
--
-- KEYS  1: who made what, by id   2: the ids by when they were noted
-- ARGV  1: how long they are kept in s   2 and on: the ids

local oldest, found = tonumber(redis.call("TIME")[1]) - tonumber(ARGV[1]), {}
for at = 2, #ARGV do
  local noted = redis.call("ZSCORE", KEYS[2], ARGV[at])
  found[at - 1] = noted and tonumber(noted) > oldest and redis.call("HGET", KEYS[1], ARGV[at])
end
return found
