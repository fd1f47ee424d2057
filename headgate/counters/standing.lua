-- Says how limits stand. Changes nothing.
--
-- KEYS  1: users   then for each limit its key, and for one by user also that of the users without a counter of their own
-- ARGV  2: the limits, msgpack   3..: the user of each
--
-- Returns for each {used, reserved, left (-1: refuses nothing), reset in ms}, one after the other.

local limits = cmsgpack.unpack(ARGV[2])
local reply = {}
local place = 2
for i, limit in ipairs(limits) do
  limit.key = KEYS[place]
  place = place + 1
  if limit.user then
    local ends = call("ZSCORE", KEYS[1], ARGV[2 + i])
    if not (ends and tonumber(ends) > now) and call("EXISTS", limit.key) == 0 then limit.key = KEYS[place] end
    place = place + 1
  end
  look[limit.shape](limit)
  local reserved = limit.reserved or 0
  reply[#reply + 1] = limit.used - reserved
  reply[#reply + 1] = reserved
  reply[#reply + 1] = limit.cap and max(limit.room, 0) or -1
  reply[#reply + 1] = max(limit.reset, 0)
end
return reply
