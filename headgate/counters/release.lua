
-- Gives back what requests hold of an engine: their slots, or their places in the line. Idempotent.
--
-- ARGV  2: how long one that held no slot is remembered as ended, ms; 0: not at all, it may come again   3..: members
--
-- Returns how many slots were given back. Those whose turn it is are told.

local WEIGHT = 0.1 -- of the last slot's time in the mean

prune()
local remember, freed = tonumber(ARGV[2]), 0
for at = 3, #ARGV do
  local member = ARGV[at]
  local taken = tonumber(call("ZSCORE", since, member))
  if call("ZREM", slots, member) == 1 then
    call("ZREM", since, member)
    freed = freed + 1
    local mean, held = tonumber(call("HGET", state, "mean")), max(0, now - (taken or now))
    call("HSET", state, "mean", exact(mean and mean + WEIGHT * (held - mean) or held))
  elseif remember > 0 then
    call("ZADD", ended, whole(now + remember), member)
    call("PEXPIRE", ended, LIFE)
  end
  take_out(member, false)
end
tell()
return freed
