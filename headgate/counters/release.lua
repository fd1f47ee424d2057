
-- Gives back what requests hold of an engine: their slots, or their places in the line. Idempotent.
--
-- ARGV  2: how long one that held no slot is remembered as ended, ms; 0: not at all, it may come again
--       3: the call that gives back what it has: what another call has taken over stays; "": whatever call has it
--       4..: members
--
-- Returns how many slots were given back. Those whose turn it is are told.

join_views(known_views())
prune()
local remember, caller, freed = tonumber(ARGV[2]), ARGV[3], 0

local function is_others(member)
  if caller == "" then return false end
  local replica, _, its = place_of(member)
  local packed = not replica and call("HGET", tickets, member)
  if packed then its = caller_of(packed) end
  return its ~= nil and its ~= caller
end

local function give_back(member)
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

for at = 4, #ARGV do
  if not is_others(ARGV[at]) then give_back(ARGV[at]) end
end
if call("ZCARD", beats) > 0 or number_of("full") == 1 then -- or else there is nothing new to tell
  count_slots()
  tell()
end
return freed
