-- Takes one request's share of all its limits, or of none. One call, atomic, idempotent by request.
--
-- KEYS  1: this request's record   2: the tenant's open reservations   3..: one key per limit
-- ARGV  1: now in ms, or "" for the server's clock (several gateways share one)   2: member of the open reservations
--       3: lease in ms; 0 when nothing has to be given back   4: how long the record is kept, ms
--       then for each limit: kind, cap, amount, unit in ms, units
--
-- Kinds: `window` slides over `units` buckets of `unit` ms and the one that runs, so that no stretch of time as long as
-- the window ever sees more than `cap`. `slots` counts members until they are settled or their lease is over.
--
-- Returns {verdict, wait, left 1, reset 1, left 2, reset 2, ...}, times in ms. Verdict: 0 reserved, now or by an earlier
-- call of this request; -1 settled already, nothing reserved; n: limit n has no room, nothing reserved, and `wait` says
-- when it may have some (-1: never, the request alone is over the limit).

local call, floor = redis.call, math.floor
local now = tonumber(ARGV[1])
if not now then
  local time = call("TIME")
  now = time[1] * 1000 + floor(time[2] / 1000)
end
local member, lease = ARGV[2], tonumber(ARGV[3])

local look, take = {}, {}

local function hold(key) -- a member of `key` until the lease is over, and the key for at least as long
  call("ZREMRANGEBYSCORE", key, "-inf", now)
  call("ZADD", key, now + lease, member)
  if call("PTTL", key) < lease then call("PEXPIRE", key, 2 * lease) end
end

-- A hash: `at` is the bucket up to which it was brought, `sum` the sum of all buckets, and bucket b is in field b modulo
-- (units + 1). Looking changes nothing, so a refused request leaves no trace.
function look.window(limit)
  local size = limit.units + 1
  local cell = floor(now / limit.unit)
  local state = call("HMGET", limit.key, "at", "sum")
  local at, sum = tonumber(state[1]), tonumber(state[2])
  limit.gone = {}
  if not at or cell - at >= size or at - cell >= size then -- nothing of it counts any more (or the clock was set back)
    sum, limit.fresh = 0, true
  else
    if cell < at then cell = at end
    for old = at + 1, cell do limit.gone[#limit.gone + 1] = old % size end
    if #limit.gone > 0 then
      for _, count in ipairs(call("HMGET", limit.key, unpack(limit.gone))) do sum = sum - (tonumber(count) or 0) end
    end
  end
  limit.cell, limit.used, limit.at = cell, sum, at
  limit.reset = sum > 0 and (at + size) * limit.unit - now or 0
end

-- When enough of the oldest buckets have left.
function look.wait(limit)
  if limit.kind == "slots" then return 1000 end
  if limit.amount > limit.cap then return -1 end
  local size, held = limit.units + 1, {}
  local all = call("HGETALL", limit.key)
  for i = 1, #all, 2 do held[all[i]] = tonumber(all[i + 1]) end
  local used = limit.used
  for cell = limit.cell - limit.units, limit.cell do
    -- Fields that `gone` names are of buckets that have left already.
    if cell <= held.at then used = used - (held[tostring(cell % size)] or 0) end
    if used + limit.amount <= limit.cap then return (cell + size) * limit.unit - now end
  end
  return size * limit.unit
end

function take.window(limit)
  local size = limit.units + 1
  local bucket = limit.cell % size
  local fields = { "at", limit.cell, "sum", limit.used + limit.amount }
  local held = 0
  if limit.fresh then
    call("DEL", limit.key)
  else
    for _, old in ipairs(limit.gone) do
      if old ~= bucket then
        fields[#fields + 1] = old
        fields[#fields + 1] = 0
      end
    end
    if #limit.gone == 0 then held = tonumber(call("HGET", limit.key, bucket)) or 0 end
  end
  fields[#fields + 1] = bucket
  fields[#fields + 1] = held + limit.amount
  call("HSET", limit.key, unpack(fields)) -- all in one: it cannot be done by halves
  if limit.fresh or limit.cell ~= limit.at then call("PEXPIRE", limit.key, (size + 1) * limit.unit) end
  limit.reset = (limit.cell + size) * limit.unit - now
end

function look.slots(limit)
  limit.used, limit.reset = call("ZCOUNT", limit.key, "(" .. string.format("%.0f", now), "+inf"), 0
end

function take.slots(limit)
  if limit.key ~= KEYS[2] then hold(limit.key) end
end

local record = call("GET", KEYS[1])
if record == "" then return { -1, 0 } end

local limits, verdict, wait = {}, 0, 0
for i = 3, #KEYS do
  local from = 5 * (i - 2)
  local limit = { key = KEYS[i], kind = ARGV[from] }
  limit.cap, limit.amount = tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
  limit.unit, limit.units = tonumber(ARGV[from + 3]), tonumber(ARGV[from + 4])
  look[limit.kind](limit)
  limits[#limits + 1] = limit
  if not record and limit.used + limit.amount > limit.cap then
    local needed = look.wait(limit)
    if verdict == 0 or needed == -1 or (wait ~= -1 and needed > wait) then verdict, wait = #limits, needed end
  end
end

if verdict == 0 and not record then
  local taken = {}
  for i, limit in ipairs(limits) do taken[i] = { limit.kind, limit.key, limit.amount, limit.cell or 0 } end
  -- The first write of all: when memory is short this fails, and nothing has been taken. A later one would not fail.
  call("SET", KEYS[1], cmsgpack.pack(taken), "PX", ARGV[4])
  for _, limit in ipairs(limits) do
    take[limit.kind](limit)
    limit.used = limit.used + limit.amount
  end
  if lease > 0 then hold(KEYS[2]) end
end

local reply = { verdict, wait }
for _, limit in ipairs(limits) do
  reply[#reply + 1] = math.max(limit.cap - limit.used, 0) -- a lowered limit may be below what is used
  reply[#reply + 1] = math.max(limit.reset, 0)
end
return reply
