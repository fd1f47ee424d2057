-- What reserve.lua, settle.lua and standing.lua begin with: the clock, the calendar, and how each kind of limit is kept.
--
-- ARGV 1 is the time in ms, "" for the server's clock: several gateways share one.
--
-- A limit is a table: `shape`, `dimension`, `cap` (nil: nothing is refused), `soft`, `unit` and `units` of a sliding
-- window, `burst` and `refill`, `day` on which months begin, and `key`, put there by the script. Of credits (shape
-- `ever`) `day` is when their account began, nil without one, and `ends` has moments and what ends then, in turns. `look` finds out how it
-- stands and changes nothing, so that a refused request leaves no trace:
--   used      all that is in the way of a new request     room   what one more may take (nil: anything)
--   reset     ms until all of it is left                  reserved  the part of `used` that running requests hold

local call, floor, ceil, max, min = redis.call, math.floor, math.ceil, math.max, math.min
local DAY, KEPT = 86400000, 3 * 86400000 -- how long a calendar window is kept after its end
local NO_END, LONGEST = 1e8 * DAY, 400 * DAY -- of what is counted for ever; how long that is kept when nobody asks
local HELD_DAYS = 4 -- a record lives for a lease and a day, and may come a lease late
local CRUMB = 1e-6 -- of a credit: makes up for fractions that doubles do not have
local now = tonumber(ARGV[1])
if not now then
  local time = call("TIME")
  now = time[1] * 1000 + floor(time[2] / 1000)
end

local format, match = string.format, string.match
local function whole(number) return format("%.0f", number + 0) end -- Valkey's own text may be 3e+8; + 0: no "-0"
local function exact(number) return format("%.17g", number) end

-- Months are numbered from January 1970. Days since 1970 of the month's first, counted in years that begin in March.
local function first_of(month)
  local year, march = 1970 + floor((month - 2) / 12), (month - 2) % 12
  return 365 * year + floor(year / 4) - floor(year / 100) + floor(year / 400) + floor((153 * march + 2) / 5) - 719468
end

-- In months that have no such day it is their last.
local function beginning(month, day)
  local first = first_of(month)
  return first + min(day, first_of(month + 1) - first) - 1
end

-- Where the calendar window that has the moment `at` begins and ends.
local function window_of(shape, day, at)
  if shape == "ever" then return day * DAY, NO_END end
  local today = floor(at / DAY)
  if shape == "day" then return today * DAY, (today + 1) * DAY end
  local month = floor(today / 30.4369)
  while beginning(month, day) > today do month = month - 1 end
  while beginning(month + 1, day) <= today do month = month + 1 end
  return beginning(month, day) * DAY, beginning(month + 1, day) * DAY
end

-- How long a calendar window is kept that ends then.
local function life_of(finish) return min(finish + KEPT - now, LONGEST) end

-- What has ended of credits.
local function ended(ends)
  local gone = 0
  for i = 1, #ends, 2 do
    if ends[i] <= now then gone = gone + ends[i + 1] end
  end
  return gone
end

-- Whether a user has counters of its own, or may have: of `most` at the same time. Else it shares one with others.
local function has_own(users, user, most)
  local ends = call("ZSCORE", users, user)
  if ends and tonumber(ends) > now then return true end
  return call("ZCARD", users) < most or call("ZCOUNT", users, "(" .. whole(now), "+inf") < most
end

-- A user's counters live until `ends`.
local function keep_user(users, user, ends, most)
  if call("ZCARD", users) >= most then call("ZREMRANGEBYSCORE", users, "-inf", whole(now)) end
  call("ZADD", users, "GT", whole(ends), user)
  if call("PTTL", users) < ends - now then call("PEXPIRE", users, whole(ends - now)) end
end

-- What soft limits compare: of tokens and money what is known to be used, of all else whatever is in the way.
local function spent(limit)
  local counts = limit.dimension == "requests" or limit.shape == "slots"
  return counts and limit.used or limit.used - limit.reserved
end

-- The first of a window who passes a soft limit says so. `window` is where it began.
local function alert(alerts, limit, used, window)
  call("RPUSH", alerts, cmsgpack.pack({ limit.key, window, used, limit.soft, now }))
  call("LTRIM", alerts, -100, -1)
  call("PEXPIRE", alerts, 7 * DAY)
end

-- Likewise, of a window that slides.
local function warn_of_window(alerts, limit)
  local warned = limit.warned
  if warned and warned <= limit.cell and limit.cell - warned <= limit.units then return end
  call("HSET", limit.key, "warned", whole(limit.cell))
  alert(alerts, limit, spent(limit), (limit.cell - limit.units) * limit.unit)
end

local look = {}

-- Room in a window of which so much is used.
local function room_of(limit, used)
  local cap, burst = limit.cap, limit.burst
  if not burst then return cap - used end
  return min(max(0, cap - used) + max(0, floor(burst - limit.debt + CRUMB)), cap + burst - used)
end

-- A hash: `at` is the bucket up to which it was brought, `sum` the sum of all buckets, and a bucket's number is a field
-- with what was taken in it. Of tokens and money, `r` and a bucket's number is what running requests hold of that, and
-- `reserved` the sum of these. `debt` credits were out at `since`; `warned` is the bucket in which the soft limit was passed.
function look.window(limit)
  local cell = floor(now / limit.unit)
  local bucket, state = whole(cell), nil
  if limit.burst or limit.soft then
    state = call("HMGET", limit.key, "at", "sum", bucket, "reserved", "r" .. bucket, "debt", "since", "warned")
    limit.warned = tonumber(state[8])
  elseif limit.dimension ~= "requests" then
    state = call("HMGET", limit.key, "at", "sum", bucket, "reserved", "r" .. bucket)
  else
    state = call("HMGET", limit.key, "at", "sum", bucket)
  end
  local at, used, here = tonumber(state[1]), tonumber(state[2]), tonumber(state[3]) or 0
  local reserved, open_here = tonumber(state[4]) or 0, tonumber(state[5]) or 0
  limit.at, limit.gone = at, nil
  if at and cell < at and at - cell <= limit.units then -- the clock went back a little
    local last = call("HMGET", limit.key, whole(at), "r" .. whole(at))
    cell, here, open_here = at, tonumber(last[1]) or 0, tonumber(last[2]) or 0
  end
  if at ~= cell then
    used, here, reserved = 0, 0, 0
    if at then
      local gone, held = {}, {}
      local all = call("HGETALL", limit.key)
      for i = 1, #all, 2 do
        local name, amount = all[i], tonumber(all[i + 1])
        local bucket = tonumber(name)
        local of_open = not bucket and tonumber(match(name, "^r(%d+)$"))
        local number = bucket or of_open
        if number and (number > cell or cell - number > limit.units) then
          gone[#gone + 1] = name
        elseif bucket then
          used, held[bucket] = used + amount, amount
        elseif of_open then
          reserved = reserved + amount
        end
      end
      limit.gone, limit.held = gone, held
    end
  end
  limit.cell, limit.used, limit.here, limit.open, limit.reserved = cell, used, here, reserved, min(reserved, used)
  limit.open_here = open_here
  limit.reset = used > 0 and (at + limit.units + 1) * limit.unit - now or 0
  local burst = limit.burst
  if not limit.cap then return end
  if burst then
    local rate = limit.refill and burst / limit.refill or burst
    local debt, since = tonumber(state[6]) or 0, tonumber(state[7]) or now
    if since - now > (limit.refill or 0) then debt = 0 end -- the clock was set back
    debt = max(0, debt - max(0, now - since) * rate)
    limit.debt, limit.rate, limit.refills = debt, rate, max(since, now)
    limit.reset = max(limit.reset, debt > 0 and limit.refills + ceil(debt / rate) - now or 0)
  end
  limit.room = room_of(limit, used)
end

-- A hash: `at` is where the window began, `r` what open requests reserved, `v:GATEWAY` what each gateway has charged and
-- `s:GATEWAY` the number of its last word on that, `u` the sum of all `v:`, `w` that the soft limit was passed.
local function look_calendar(limit)
  local state = call("HMGET", limit.key, "at", "u", "r", "w")
  local at = tonumber(state[1])
  -- A window that has not begun by this clock began by another's.
  limit.start, limit.finish = window_of(limit.shape, limit.day, max(now, at or 0))
  limit.used, limit.reserved, limit.fresh = 0, 0, at ~= limit.start
  if not limit.fresh then
    limit.reserved, limit.warned = tonumber(state[3]) or 0, state[4]
    limit.used = (tonumber(state[2]) or 0) + limit.reserved
  end
  limit.reset = limit.finish - now
  if limit.cap then limit.room = limit.cap - limit.used end
end
look.day, look.month = look_calendar, look_calendar

-- What requests that reserved on this day hold of credits: its name in the hash, and whether a record of it may be left.
local function held_on(day) return "r:" .. whole(day) end
local function may_hold(day)
  local today = floor(now / DAY)
  return day > today - HELD_DAYS and day <= today + 1 -- by a clock that went back: tomorrow's
end

-- Likewise, without an end, and with `r:DAY` for `r`: there is no new window in which a record that was lost is forgotten.
-- What has ended counts no more from its moment on, whoever prepared the limit before that.
function look.ever(limit)
  if not limit.day then -- no account: nothing is counted
    limit.used, limit.reserved, limit.reset, limit.room = 0, 0, 0, 0
    return
  end
  local gone = ended(limit.ends)
  limit.cap, limit.soft = limit.cap - gone, limit.soft and limit.soft - gone
  look_calendar(limit)
  limit.used, limit.reserved, limit.reset = limit.used - limit.reserved, 0, 0
  local today, days = floor(now / DAY), {}
  for day = today - HELD_DAYS + 1, today + 1 do days[#days + 1] = held_on(day) end
  for _, held in ipairs(limit.fresh and {} or call("HMGET", limit.key, unpack(days))) do
    limit.reserved = limit.reserved + (tonumber(held) or 0)
  end
  limit.used = limit.used + limit.reserved
  if limit.cap then limit.room = limit.cap - limit.used end
end

-- A sorted set of requests by the end of their lease.
function look.slots(limit)
  limit.used, limit.reset = call("ZCOUNT", limit.key, "(" .. whole(now), "+inf"), 0
  limit.reserved = limit.used
  if limit.cap then limit.room = limit.cap - limit.used end
end

local function append(fields, name, value)
  local size = #fields
  fields[size + 1], fields[size + 2] = name, value
end

-- Adds to a bucket of a window that was looked at. `credits` of its burst go with it, `held` of it is given back later.
-- In one write: each is one more line of the append-only file, and costs more than all arithmetic here.
local function put(limit, cell, amount, credits, held)
  local key, rolled, bucket = limit.key, limit.at ~= limit.cell, whole(cell)
  local fields = { "sum", whole(limit.used + amount) }
  if limit.gone and #limit.gone > 0 then call("HDEL", key, unpack(limit.gone)) end
  if rolled then append(fields, "at", whole(limit.cell)) end
  if cell == limit.cell then
    append(fields, bucket, whole(limit.here + amount))
    if held > 0 then append(fields, "r" .. bucket, whole(limit.open_here + held)) end
  else
    call("HINCRBY", key, bucket, whole(amount))
    if held > 0 then call("HINCRBY", key, "r" .. bucket, whole(held)) end
  end
  if limit.dimension ~= "requests" and (held > 0 or rolled) then
    limit.open = limit.open + held
    append(fields, "reserved", whole(limit.open))
  end
  if credits > 0 then
    append(fields, "debt", exact(limit.debt + credits))
    append(fields, "since", whole(now))
  end
  call("HSET", key, unpack(fields))
  if rolled or credits > 0 then
    local life = (limit.units + 2) * limit.unit
    if credits > 0 then life = max(life, ceil((limit.debt + credits) / limit.rate)) end
    if call("PTTL", key) < life then call("PEXPIRE", key, whole(life)) end
  end
end

