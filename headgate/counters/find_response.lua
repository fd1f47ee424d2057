-- Says who made a response, unless it was noted too long ago. Changes nothing.
--
-- KEYS  1: who made what, by id   2: the ids by when they were noted
-- ARGV  1: the id   2: how long it is kept in s

local noted = redis.call("ZSCORE", KEYS[2], ARGV[1])
if not noted or tonumber(noted) <= tonumber(redis.call("TIME")[1]) - tonumber(ARGV[2]) then return false end
return redis.call("HGET", KEYS[1], ARGV[1])
