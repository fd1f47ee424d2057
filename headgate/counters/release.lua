
-- Gives back what requests hold of an engine: their slots, or their places in the line. Idempotent.
--
-- ARGV  2: how long one that held no slot is remembered as ended, ms; 0: not at all, it may come again   3..: members
--
-- Returns how many slots were given back. Those whose turn it is are told.

recall_replicas()
prune()
local remember, freed = tonumber(ARGV[2]), 0
for at = 3, #ARGV do
  local member = ARGV[at]
  local replica, began = let_go(member)
  if replica then
    freed = freed + 1
    learn(replica, began)
  elseif remember > 0 then
    call("ZADD", ended, whole(now + remember), member)
    call("PEXPIRE", ended, LIFE)
  end
  take_out(member, false)
end
if call("ZCARD", beats) > 0 or number_of("full") == 1 then -- or else there is nothing new to tell
  count_slots()
  tell()
end
return freed
