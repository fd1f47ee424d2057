-- Takes one request's share of all its limits, or of none. One call, atomic, idempotent by request.
--
-- KEYS  1: this request's record   2: the tenant's open reservations   3: alerts   4: base   5: users
--       then for each limit its key, and for one by user also that of the users without a counter of their own
-- ARGV  2: the limits, msgpack   3: member of the open reservations   4: lease in ms; 0 when nothing is to be settled
--       5: how long a record without lease is kept, ms   6: how many users have counters of their own
--       7: input tokens   8: output tokens asked for, per answer   9: answers   10: nano-USD of all else
--       11: nano-USD per output token   12: key   13: model   14: user   15: the least that is of use per answer
--       16: when the request was let through without this, in ms: it takes its share whatever room there is, of what
--       counts that moment; else 0
--
-- Of output tokens as many are granted as every limit has room for, at most those asked for.
--
-- Returns {verdict, wait, grant, used 1, left 1 (-1: refuses nothing), reset 1, used 2, ..., then in turns soft limits that
-- are passed and what is used of them}, times in ms. Verdict: 0 reserved, now or by an earlier call of this request; -1 settled already; -2 the calendar's sums
-- are not there, so that nobody can say; n: limit n has no room for the least grant, and of those without room it has
-- some last, after `wait` (-1: never, the request alone is over the limit; at most 1000 where all that is missing may
-- come back with the end of any request). Nothing is reserved but at 0. A grant of -1: refused, by the counter of the users
-- who have none of their own.

local record = call("GET", KEYS[1])
if record == "" then return { -1, 0, 0 } end

local member, lease, most, user = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6]), ARGV[14]
local input, asked, times = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local passed = ARGV[16] ~= "0" and min(tonumber(ARGV[16]), now)

-- What a request takes of each dimension whatever is granted, and for each output token granted per answer.
local fixed = { requests = 1, slots = 1, input = input, output = 0, tokens = input, usd = tonumber(ARGV[10]) }
local rates = { output = times, tokens = times, usd = ARGV[11] * times }

-- Clients may ask for any number: no more is granted than can be added up, whatever the limits.
asked = min(asked, floor(2 ^ 40 / times))
if rates.usd > 0 then asked = min(asked, floor(2 ^ 50 / rates.usd)) end
local least = min(tonumber(ARGV[15]), asked)

local function amount_of(limit, grant)
  local rate = rates[limit.dimension]
  return fixed[limit.dimension] + (rate and ceil(rate * grant) or 0)
end

-- The most that may be granted where at least the least fits.
local function granted(limit)
  local rate = rates[limit.dimension]
  if not rate or rate <= 0 or asked == 0 then return asked end
  local grant = min(asked, floor((limit.room - fixed[limit.dimension]) / rate))
  -- A price is no whole number, and a quotient of such may be off by one.
  while grant < asked and amount_of(limit, grant + 1) <= limit.room do grant = grant + 1 end
  while grant > least and amount_of(limit, grant) > limit.room do grant = grant - 1 end
  return grant
end

-- Ms until enough of the oldest buckets of a window have left and enough credits are back.
local function wait_for_buckets(limit, amount)
  local cap, burst = limit.cap, limit.burst or 0
  local held = limit.held
  if not held then
    held = {}
    local all = call("HGETALL", limit.key)
    for i = 1, #all, 2 do
      local bucket = tonumber(all[i])
      if bucket then held[bucket] = tonumber(all[i + 1]) end
    end
  end
  local used, at = limit.used, now
  for cell = limit.cell - limit.units, limit.cell + 1 do
    local leaves = (cell + limit.units + 1) * limit.unit
    if used + amount <= cap + burst then
      local credits = max(0, amount - max(0, cap - used))
      local ready = at
      if credits > 0 and limit.debt > burst - credits + CRUMB then
        ready = max(at, limit.refills + ceil((limit.debt - (burst - credits) - CRUMB) / limit.rate))
      end
      if ready < leaves or cell > limit.cell then return ready - now end
    end
    used, at = used - (held[cell] or 0), leaves
  end
end

-- Ms until there is room for `amount`, or -1.
local function wait_for(limit, amount)
  local slides = limit.shape == "window"
  if limit.shape == "ever" then return amount <= room_of(limit, limit.used - limit.reserved) and 1000 or -1 end
  if amount > limit.cap + (slides and limit.burst or 0) then return -1 end
  local wait = limit.shape == "slots" and 1000 or slides and wait_for_buckets(limit, amount) or limit.finish - now
  -- Tokens and money that are only reserved may come back with the end of any request.
  local may = limit.dimension ~= "requests" and amount <= room_of(limit, limit.used - limit.reserved)
  return may and min(wait, 1000) or wait
end

local limits = cmsgpack.unpack(ARGV[2])
local own, is_calendar -- own: whether this user has counters of its own
local place = 6
for _, limit in ipairs(limits) do
  limit.key = KEYS[place]
  place = place + 1
  if limit.user then
    if own == nil then own = has_own(KEYS[5], user, most) end
    if not own then limit.key, limit.others = KEYS[place], true end
    place = place + 1
  end
  if limit.shape == "day" or limit.shape == "month" or limit.shape == "ever" and limit.day then is_calendar = true end
end
if is_calendar and not record and not passed and call("EXISTS", KEYS[4]) == 0 then return { -2, 0, 0 } end

local verdict, wait, grant = 0, 0, asked
for i, limit in ipairs(limits) do
  look[limit.shape](limit)
  if limit.cap and not record and not passed then
    local needed = amount_of(limit, least)
    -- What costs nothing takes nothing of an account, however far down that is.
    if needed > limit.room and (needed > 0 or limit.shape ~= "ever") then
      local ready = wait_for(limit, needed)
      if verdict == 0 or wait ~= -1 and (ready == -1 or ready > wait) then verdict, wait = i, ready end
    elseif verdict == 0 then
      grant = min(grant, granted(limit))
    end
  end
end

-- A member until `score`, in a set that lives for at least `life` more; whether its life was made longer.
local function hold(key, score, life)
  call("ZADD", key, whole(score), member)
  if call("PTTL", key) >= life then return false end
  call("PEXPIRE", key, whole(life + 60000))
  return true
end

local take = {}

function take.window(limit, amount)
  if amount > 0 then put(limit, limit.into, amount, limit.credits, limit.dimension ~= "requests" and amount or 0) end
  if amount > 0 then limit.reset = max(limit.reset, (limit.cell + limit.units + 1) * limit.unit - now) end
  if limit.credits > 0 then limit.reset = max(limit.reset, ceil((limit.debt + limit.credits) / limit.rate)) end
end

local function begin(limit)
  call("DEL", limit.key)
  call("HSET", limit.key, "at", whole(limit.start))
  call("PEXPIRE", limit.key, whole(life_of(limit.finish)))
end

function take.day(limit, amount)
  if limit.fresh then begin(limit) end
  if amount > 0 then call("HINCRBY", limit.key, "r", whole(amount)) end
end
take.month = take.day

-- What was held on days that count no more goes with the first that is held on another one.
function take.ever(limit, amount)
  if not limit.day then return end
  if limit.fresh then begin(limit) end
  if amount == 0 or call("HINCRBY", limit.key, held_on(floor((passed or now) / DAY)), whole(amount)) > amount then return end
  for _, name in ipairs(call("HKEYS", limit.key)) do
    local day = tonumber(match(name, "^r:(%d+)$"))
    if day and not may_hold(day) then call("HDEL", limit.key, name) end
  end
end

function take.slots(limit) -- once a minute is often enough for leases that are over
  if hold(limit.key, now + lease, lease) then call("ZREMRANGEBYSCORE", limit.key, "-inf", whole(now)) end
end

-- Whether the window has ended in which the request was let through. `into` is the bucket of one that slides.
local function is_past(limit)
  if limit.shape == "window" then
    limit.into = passed and min(floor(passed / limit.unit), limit.cell) or limit.cell
    return limit.cell - limit.into > limit.units
  end
  return passed and limit.start and passed < limit.start
end

-- When the limit's key is gone at the latest, if nothing more is taken.
local function end_of(limit)
  if limit.shape == "window" then return now + max((limit.units + 2) * limit.unit, limit.refill or 0) end
  return limit.shape == "slots" and now + lease + 60000 or limit.finish + KEPT
end

local function warn(limit)
  if limit.shape == "window" then
    warn_of_window(KEYS[3], limit)
  elseif limit.start and not limit.warned then
    call("HSET", limit.key, "w", 1)
    alert(KEYS[3], limit, spent(limit), limit.start)
  end
end

-- Credits have come that the next warning is about.
local function rearm(limit)
  if limit.shape == "ever" and limit.warned then call("HDEL", limit.key, "w") end
end

if record then
  grant = cmsgpack.unpack(record)[1]
elseif verdict > 0 then
  grant = limits[verdict].others and -1 or 0
else
  local taken = {}
  for _, limit in ipairs(limits) do
    local amount = amount_of(limit, grant)
    limit.amount, limit.past = amount, is_past(limit)
    if limit.past then -- it counts nowhere any more
    elseif limit.shape == "window" then
      -- Nobody lent it anything then: as what settle.lua adds without a record, it costs no credits.
      local over = not passed and limit.burst and limit.cap and max(0, limit.used + amount - max(limit.cap, limit.used)) or 0
      limit.credits = over
      local shape = { limit.unit, limit.units, limit.soft or -1, 0, 0, 0 }
      if limit.rate then shape[4], shape[5], shape[6] = limit.cap, limit.burst, limit.rate end
      taken[#taken + 1] = { "window", limit.key, limit.dimension, amount, limit.into, over, shape }
    elseif limit.shape == "slots" then
      taken[#taken + 1] = { "slots", limit.key }
    elseif limit.shape == "ever" then
      taken[#taken + 1] = { "ever", limit.key, limit.dimension, amount, limit.start or 0 }
    else
      taken[#taken + 1] = { "calendar", limit.key, limit.dimension, amount, limit.start or 0, limit.others }
    end
  end
  local kept = { grant }
  if lease > 0 then
    local output = grant * times
    local usd = fixed.usd + ceil(rates.usd * grant)
    kept = { grant, input, output, usd, ARGV[12], ARGV[13], user, taken, passed or now }
  end
  -- The first write of all: when memory is short this fails, and nothing has been taken. A later one would not fail.
  call("SET", KEYS[1], cmsgpack.pack(kept), "PX", lease > 0 and whole(lease + DAY) or ARGV[5])
  local ends = 0
  for _, limit in ipairs(limits) do
    if not limit.past then
      -- Who was let through may have ended since, without the ledger having said so: it is in nobody's way.
      if not (passed and limit.shape == "slots") then take[limit.shape](limit, limit.amount) end
      limit.used = limit.used + limit.amount
      if limit.dimension ~= "requests" then limit.reserved = limit.reserved + limit.amount end
      if limit.room then limit.room = limit.room - limit.amount end
      if limit.soft then (spent(limit) > limit.soft and warn or rearm)(limit) end
      if limit.user and own then ends = max(ends, end_of(limit)) end
    end
  end
  if ends > 0 then keep_user(KEYS[5], user, ends, most) end
  if lease > 0 then hold(KEYS[2], now + lease, lease + DAY) end
end

local reply = { verdict, wait, grant }
for _, limit in ipairs(limits) do
  reply[#reply + 1] = limit.used
  reply[#reply + 1] = limit.cap and max(limit.room, 0) or -1 -- a lowered limit may be below what is used
  reply[#reply + 1] = max(limit.reset, 0)
end
for i, limit in ipairs(limits) do
  if limit.soft and spent(limit) > limit.soft then
    reply[#reply + 1] = i
    reply[#reply + 1] = spent(limit)
  end
end
return reply
