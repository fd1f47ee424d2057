-- What admit.lua and release.lua begin with: the slots of one engine, and who waits for one.
--
-- KEYS  1: slots, by the end of their lease   2: when each was taken   3: state   4: tickets   5: who is still there, and
--       until when   6: requests that have ended   7, 8, 9: who waits, of class 1 (the most urgent) to 3
--       10, 11, 12: the tenants of each class   13: all who wait, by model and then in their order
-- ARGV  1: the time in ms, "" for the server's clock
--
-- A ticket is a member that waits. Within a class they stand by their start tags (start-time fair queueing, Goyal, Vin,
-- Cheng 1996): a tenant's next one is 1 / share after its last one, and never before the class's virtual time, which is
-- the tag of the last one that was served. So a tenant's tickets keep their order, and tenants take turns by their shares.
-- Of classes the most urgent one is served, but after PASSED tickets that went before it a class has its turn.
-- state: `seq`, `capacity`, `mean` (ms that a slot is held, the last ones weigh most), `full` and `told` (what was published, and
-- when), `n:MODEL` (who waits for it), `v:CLASS` its virtual time, `p:CLASS` how many went before it.

local call, ceil, floor, max, min = redis.call, math.ceil, math.floor, math.max, math.min
local slots, since, state, tickets, beats, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local models = KEYS[13]
local CLASSES, PASSED, LIFE, AT_ONCE = 3, 8, 3600000, 64
local TELL_MS = 900 -- a full engine is said to be full as often, at most: who hears nothing forgets it
local now = tonumber(ARGV[1])
if not now then
  local time = call("TIME")
  now = time[1] * 1000 + floor(time[2] / 1000)
end

local function whole(number) return string.format("%.0f", number) end
local function exact(number) return string.format("%.17g", number) end
local function number_of(field) return tonumber(call("HGET", state, field)) or 0 end
local function line_of(class) return KEYS[6 + class] end
local function tenants_of(class) return KEYS[9 + class] end

-- Where a ticket stands among those of its model: bytes that sort as class, tag and place do. No tag is negative, and
-- such doubles sort by their bytes, the largest first.
local function among_models(model, class, start, place)
  return model .. "\0" .. class .. struct.pack(">d", start) .. place
end

-- Of a tenant in a class: the tag behind its last ticket, the one behind the last that was served, how many wait.
local function tags_of(class, tenant)
  local packed = call("HGET", tenants_of(class), tenant)
  if packed then return unpack(cmsgpack.unpack(packed)) end
  return 0, 0, 0
end

local function keep_tags(class, tenant, finish, served, waiting)
  call("HSET", tenants_of(class), tenant, cmsgpack.pack({ finish, served, waiting }))
end

-- Takes a ticket out; `served` when it has a slot now. When nobody of a class waits, all of it is forgotten.
local function take_out(member, served)
  local packed = call("HGET", tickets, member)
  if not packed then return nil end
  local class, tenant, share, model, place, start, joined = unpack(cmsgpack.unpack(packed))
  call("HDEL", tickets, member)
  call("ZREM", beats, member)
  call("ZREM", line_of(class), place)
  call("ZREM", models, among_models(model, class, start, place))
  if call("HINCRBY", state, "n:" .. model, -1) <= 0 then call("HDEL", state, "n:" .. model) end
  if call("ZCARD", line_of(class)) == 0 then
    call("DEL", tenants_of(class))
    call("HDEL", state, "v:" .. class, "p:" .. class)
    return joined, class, start
  end
  local finish, behind, waiting = tags_of(class, tenant)
  if served then
    behind = start + 1 / share
    call("HSET", state, "v:" .. class, exact(max(start, number_of("v:" .. class))))
  elseif finish == start + 1 / share then -- its last one has not cost it a turn
    finish = start
  end
  keep_tags(class, tenant, finish, behind, waiting - 1)
  return joined, class, start
end

-- Lets go of what is over: leases, and those who wait and have not been heard of.
local function prune()
  for _, member in ipairs(call("ZRANGEBYSCORE", slots, "-inf", whole(now))) do
    call("ZREM", slots, member)
    call("ZREM", since, member)
  end
  for _, member in ipairs(call("ZRANGEBYSCORE", beats, "-inf", whole(now))) do take_out(member, false) end
  call("ZREMRANGEBYSCORE", ended, "-inf", whole(now))
end

local function free_slots()
  local capacity = number_of("capacity")
  return max(0, capacity - call("ZCARD", slots))
end

-- Whose turn it is of the classes that somebody waits in: `heads` says so of each, `passed` how many went before it.
local function class_of(heads, passed)
  local found
  for class = 1, CLASSES do
    if heads[class] then
      if not found then
        found = class
      elseif passed[class] >= PASSED and (passed[found] < PASSED or passed[class] >= passed[found]) then
        found = class
      end
    end
  end
  return found
end

-- A ticket of this class is served: those behind it have waited for one more.
local function pass(class, heads, passed)
  passed[class] = 0
  for other = class + 1, CLASSES do
    if heads[other] then passed[other] = passed[other] + 1 end
  end
end

local function passed_now()
  local passed = {}
  for class = 1, CLASSES do passed[class] = number_of("p:" .. class) end
  return passed
end

-- The next `count` members, in their order.
local function next_ones(count)
  local lines, at, passed, found = {}, {}, passed_now(), {}
  for class = 1, CLASSES do
    lines[class], at[class] = count > 0 and call("ZRANGE", line_of(class), 0, count - 1) or {}, 1
  end
  while #found < count do
    local heads = {}
    for class = 1, CLASSES do heads[class] = lines[class][at[class]] end
    local class = class_of(heads, passed)
    if not class then break end
    found[#found + 1] = string.sub(heads[class], 18)
    at[class] = at[class] + 1
    pass(class, heads, passed)
  end
  return found
end

-- Tells those whose turn it is, and everybody whether others find a slot here. Whether none does, and how many wait.
local function tell()
  local free, waiting = free_slots(), call("ZCARD", beats)
  -- Nobody has said how many slots there are, or there was no replica: that is no reason to pass it over.
  if waiting == 0 and number_of("capacity") == 0 then return false, 0 end
  local is_full = waiting >= free
  local was_full = number_of("full") == 1
  local called = free > 0 and waiting > 0 and next_ones(min(free, AT_ONCE)) or {}
  if #called == 0 and is_full == was_full and not (is_full and now - number_of("told") >= TELL_MS) then
    return is_full, waiting
  end
  call("HSET", state, "full", is_full and 1 or 0, "told", whole(now))
  -- Not allowed to: then those who wait look by themselves.
  redis.pcall("PUBLISH", "hg:queue", cmsgpack.pack({ KEYS[1], is_full, called }))
  return is_full, waiting
end

local function keep()
  for _, key in ipairs(KEYS) do call("PEXPIRE", key, LIFE) end
end
