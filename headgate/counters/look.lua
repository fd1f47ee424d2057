
-- Says how many slots an engine has, though nobody asks for one: leases end, those whose turn it is are told, and a
-- full engine is said to be full for as long as it is.
--
-- ARGV  2: slots of the engine
--
-- Returns {how many are held, how many requests wait, 1 where others find none}.

call("HSET", state, "capacity", ARGV[2])
prune()
local is_full, waiting = tell()
keep()
return { call("ZCARD", slots), waiting, is_full and 1 or 0 }
