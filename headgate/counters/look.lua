
-- Says how the slots of an engine stand, though nobody asks for one: leases end, those whose turn it is are told, and a
-- full engine is said to be full for as long as it is.
--
-- ARGV  2: which gateway looks   3..: each replica that it sees, and how many slots that has
--
-- Returns {how many are held of those, how many requests wait, 1 where others find none}.

know_replicas(ARGV[2], 3)
prune()
count_slots()
local is_full, waiting = tell()
keep()
return { held, waiting, is_full and 1 or 0 }
