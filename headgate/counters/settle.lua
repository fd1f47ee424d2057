-- Closes reservations of one tenant: what they hold is free again. Idempotent; what is not there is not taken back.
--
-- KEYS  1: the tenant's open reservations   2..: the requests' records
-- ARGV  1: how long a closed request is remembered, ms   2..: members of the open reservations, as the records
--
-- Returns how many were open. A closed request is remembered so that a reservation of it that was held up somewhere
-- takes nothing when it arrives at last.

local freed = 0
for i = 2, #KEYS do
  local member = ARGV[i]
  freed = freed + redis.call("ZREM", KEYS[1], member)
  local record = redis.call("GET", KEYS[i])
  if record and record ~= "" then
    for _, taken in ipairs(cmsgpack.unpack(record)) do
      if taken[1] == "slots" and taken[2] ~= KEYS[1] then redis.call("ZREM", taken[2], member) end
    end
    redis.call("DEL", KEYS[i])
  end
  -- Not when memory is short: giving back comes first.
  redis.pcall("SET", KEYS[i], "", "PX", ARGV[1])
end
return freed
