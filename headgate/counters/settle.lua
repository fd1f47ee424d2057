-- Closes requests of one tenant with what they really took, and sets what was charged in calendar windows. Idempotent.
--
-- KEYS  1: the tenant's open reservations   2: alerts   3: those that this gateway is told of   4: users
--       5..: the requests' records, in their order
--       then the keys of all limits named below and of those that the requests had to keep, and at last bases and base
-- ARGV  2: msgpack of {how long a closed request is remembered in ms, how many users have counters of their own,
--       gateway, number of base when all its sums are there now or 0, requests, sliding windows, sums}
--       request  {member of the open reservations, ms when it began, user, requests, input, output, nano-USD,
--                 {which of the sliding windows it counts in when it had no record}, lease in ms}
--       window   {number of its key, number of the key of users without a counter or 0, dimension, unit, units, soft or -1}
--       sum      {number of its key, the same of others, user, start and end of the window, value, sequence, soft or
--                 false, whether it compares what is reserved too, moments at which credits end and how much of them}
--       3..: alerts that this gateway has taken note of
--
-- Returns {how many were open, {alerts}}: one gateway is told of an alert, until it confirms that. A closed request is
-- remembered so that a reservation of it that was held up somewhere takes nothing when it arrives at last: one without a
-- record for as long as its limiter may try to reserve it late, which is a lease from when it began. Limits may have changed since a request began: what it took is given back all the same, from keys that its record names, which
-- are on the same node.

local remember, most, gateway, base, requests, windows, sums = unpack(cmsgpack.unpack(ARGV[2]))

-- In the bucket in which it was taken, if that still counts. Of a burst it takes what is above the cap.
local function add(limit, cell, amount)
  look.window(limit)
  cell = min(cell, limit.cell)
  if limit.cell - cell > limit.units then return end
  local over = limit.burst and max(0, limit.used + amount - max(limit.cap, limit.used)) or 0
  put(limit, cell, amount, over, 0)
end

local function warn(limit)
  if not limit.soft then return end
  look.window(limit)
  if spent(limit) > limit.soft then warn_of_window(KEYS[2], limit) end
end

local correct = {}

-- What the request held of its bucket is not held any more: `held` are so many, of `reserved` in all of the window.
local function give_back(fields, key, name, amount, held, reserved)
  local back = min(amount, held)
  if back == 0 then return end
  if back == held then call("HDEL", key, name) else append(fields, name, whole(held - back)) end
  append(fields, "reserved", whole(max(0, reserved - back)))
end

function correct.window(real, reserved, key, dimension, amount, cell, credits, shape)
  local difference, held_too = real[dimension] - amount, dimension ~= "requests"
  if difference == 0 and not held_too then return end
  local unit, units, soft, cap, burst, rate = unpack(shape)
  local bucket, fields = whole(cell), {}
  local state = call("HMGET", key, "at", bucket, "sum", "debt", "r" .. bucket, "reserved")
  local at, taken = tonumber(state[1]), tonumber(state[2]) or 0
  local counts = at and cell <= at and at - cell <= units
  if counts and held_too then
    give_back(fields, key, "r" .. bucket, amount, tonumber(state[5]) or 0, tonumber(state[6]) or 0)
  end
  if counts and difference < 0 then
    difference = max(difference, -taken)
    append(fields, bucket, whole(taken + difference))
    append(fields, "sum", whole((tonumber(state[3]) or 0) + difference))
    if credits > 0 and state[4] then
      -- What has refilled since it was taken is paid: what is owed now, others owe.
      credits = max(0, credits - max(0, now - reserved) * rate)
      append(fields, "debt", exact(max(0, state[4] - min(credits, -difference))))
    end
  end
  if #fields > 0 then call("HSET", key, unpack(fields)) end
  if difference <= 0 and soft < 0 then return end
  local limit = { key = key, dimension = dimension, unit = unit, units = units, soft = soft >= 0 and soft or nil }
  if burst > 0 then limit.cap, limit.burst, limit.refill = cap, burst, burst / rate end
  if difference > 0 then add(limit, cell, difference) end
  warn(limit)
end

function correct.calendar(real, _, key, dimension, amount, start, others)
  local state = call("HMGET", key, "at", "r")
  if tonumber(state[1]) ~= start then return end
  call("HINCRBY", key, "r", whole(-min(amount, tonumber(state[2]) or 0)))
  -- No ledger knows whose requests these users share a counter with: here it is counted.
  if others then call("HINCRBY", key, "u", whole(real[dimension])) end
end

-- By the day on which it was reserved. What is too old to count may have been dropped.
function correct.ever(_, reserved, key, _, amount, start)
  local name = held_on(floor(reserved / DAY))
  local state = call("HMGET", key, "at", name)
  local held = tonumber(state[2]) or 0
  if tonumber(state[1]) ~= start or held == 0 then return end
  if amount < held then call("HINCRBY", key, name, whole(-amount)) else call("HDEL", key, name) end
end

local function missed(real, began, user, numbers)
  for _, number in ipairs(numbers) do
    local place, others, dimension, unit, units, soft = unpack(windows[number])
    local own = others == 0 or has_own(KEYS[4], user, most)
    local cell = floor(began / unit)
    if real[dimension] > 0 and floor(now / unit) - cell <= units then
      local limit = { key = KEYS[own and place or others], dimension = dimension, unit = unit, units = units }
      limit.soft = soft >= 0 and soft or nil
      add(limit, cell, real[dimension])
      warn(limit)
    end
  end
end

local function set(place, others, user, start, finish, value, sequence, soft, all, ends)
  local key, left = KEYS[place], life_of(finish)
  if left <= 0 or others ~= 0 and not has_own(KEYS[4], user, most) then return end
  local state = call("HMGET", key, "at", "v:" .. gateway, "s:" .. gateway, "u", "r", "w")
  local at, old, last = tonumber(state[1]), tonumber(state[2]) or 0, tonumber(state[3])
  local used, held, warned = tonumber(state[4]) or 0, tonumber(state[5]) or 0, state[6]
  if at and at > start then return end
  if at ~= start then
    call("DEL", key)
    call("HSET", key, "at", whole(start))
    old, last, used, held, warned = 0, nil, 0, 0, nil
  end
  if at ~= start or finish == NO_END then call("PEXPIRE", key, whole(left)) end
  if others ~= 0 then keep_user(KEYS[4], user, finish + KEPT, most) end
  if last and last > sequence then return end
  used = used + value - old
  call("HSET", key, "v:" .. gateway, whole(value), "s:" .. gateway, whole(sequence), "u", whole(used))
  if not soft then return end
  soft = soft - ended(ends)
  used = used + (all and held or 0)
  if used > soft and not warned then
    call("HSET", key, "w", 1)
    alert(KEYS[2], { key = key, soft = soft }, used, start)
  elseif used <= soft and warned and finish == NO_END then -- credits have come: the next warning is another one
    call("HDEL", key, "w")
  end
end

local function close(key, record, began, lease)
  local left = record and 0 or min(began + lease - now, lease)
  local keep = remember + max(0, left)
  if record ~= "" or call("PTTL", key) < keep then call("SET", key, "", "PX", whole(keep)) end
end

local freed = 0
for i, request in ipairs(requests) do
  local member, began, user, count, input, output, usd, numbers, lease = unpack(request)
  local real = { requests = count, input = input, output = output, tokens = input + output, usd = usd }
  -- It comes first: short memory does not refuse it, nor anything after it. Giving back must go on.
  freed = freed + call("ZREM", KEYS[1], member)
  local record = call("GET", KEYS[4 + i])
  if not record then
    missed(real, began, user, numbers)
  elseif record ~= "" then
    record = cmsgpack.unpack(record)
    for _, taken in ipairs(record[8] or {}) do
      if taken[1] == "slots" then
        call("ZREM", taken[2], member)
      else
        correct[taken[1]](real, record[9] or now, unpack(taken, 2))
      end
    end
  end
  close(KEYS[4 + i], record, began, lease)
end
for _, sum in ipairs(sums) do set(unpack(sum)) end
if base > 0 then -- sums of other limits than these are not written any more
  local bases, before = KEYS[base - 1], call("HGET", KEYS[base - 1], gateway)
  if before and before ~= KEYS[base] then call("HDEL", before, gateway) end
  call("HSET", bases, gateway, KEYS[base])
  call("PEXPIRE", bases, whole(45 * DAY))
  call("HSET", KEYS[base], gateway, 1)
  call("PEXPIRE", KEYS[base], whole(45 * DAY))
end
for number = 3, #ARGV do call("LREM", KEYS[3], 0, ARGV[number]) end
local alerts = call("LRANGE", KEYS[2], 0, -1)
if #alerts > 0 then
  call("DEL", KEYS[2])
  call("RPUSH", KEYS[3], unpack(alerts))
  call("LTRIM", KEYS[3], -100, -1)
  call("PEXPIRE", KEYS[3], whole(7 * DAY))
end
return { freed, call("LRANGE", KEYS[3], 0, -1) }
