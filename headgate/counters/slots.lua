-- What the scripts of engines begin with: the slots of one engine, each at one of its replicas.
--
-- KEYS  1: slots, by the end of their lease   2: when each was taken, for which call, and where   3: state   4: tickets
--       5: who is still there, and until when   6: requests that have ended
--       7, 8, 9: who waits, of class 1 (the most urgent) to 3
--       10, 11, 12: the tenants of each class that wait   13: all who wait, by model and then in their order
--       14: all who wait, by the replicas they may go to and then in their order   15, 16, 17: the tenants of each class
--       that wait no more and have had a turn, by the tag behind it
-- ARGV  1: the time in ms, "" for the server's clock
--
-- Replicas are those that are there, with the slots of each: those that some gateway sees. What one has said last counts
-- until others ask VIEW_MS later. So one that sees no replica, or not all, hides them from nobody else. What is
-- held at others counts for nothing: one that hangs or has died takes nothing away from those that work. ANYWHERE stands
-- for the whole engine while nobody names a replica; what was taken so counts against all of them later.
-- state: `views` (by gateway: when it said so, and what), `h:REPLICA` slots held there, `mean` (ms that a slot is held,
-- the last ones weigh most).

local call, ceil, floor, max, min = redis.call, math.ceil, math.floor, math.max, math.min
local slots, places, state, tickets, beats, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local models = KEYS[13]
local ANYWHERE, WEIGHT = "", 0.1 -- of the last slot's time in the mean
local VIEW_MS = 3000 -- each gateway says every second what it sees
local PRUNED = 256 -- of what is over, at most, in one call: 1.5 ms of leases, 3.5 of tickets
local FACTOR, ALWAYS = 1.25, 1 / 8 -- how busy one may be while others are idle: as in headgate/spreading.py
local now = tonumber(ARGV[1])
if not now then
  local time = call("TIME")
  now = time[1] * 1000 + floor(time[2] / 1000)
end

local function whole(number) return string.format("%.0f", number) end
local function exact(number) return string.format("%.17g", number) end
local function number_of(field) return tonumber(call("HGET", state, field)) or 0 end

-- By replica: how many slots it has, how many of them are held and how many are not. Then the same of all together.
local sizes, taken, rooms = {}, {}, {}
local capacity, held, spare, free = 0, 0, 0, 0

-- `free` of all: what is held nowhere may be at any of them.
local function add_up(name, its)
  local size, room = sizes[name], max(0, sizes[name] - its)
  held, spare = held + its - (taken[name] or 0), spare + room - (rooms[name] or 0)
  taken[name], rooms[name] = its, room
  free = max(0, spare)
  return size
end

local function count_slots()
  local names, fields = {}, { "h:" .. ANYWHERE }
  for name in pairs(sizes) do
    names[#names + 1] = name
    fields[#fields + 1] = "h:" .. name
  end
  local found = call("HMGET", state, unpack(fields))
  local nowhere = tonumber(found[1]) or 0
  if sizes[ANYWHERE] then nowhere, found[2] = 0, call("ZCARD", slots) end
  taken, rooms, capacity, held, spare = {}, {}, 0, nowhere, -nowhere
  for at, name in ipairs(names) do capacity = capacity + add_up(name, tonumber(found[at + 1]) or 0) end
  free = max(0, spare)
end

-- All that somebody sees. The whole engine has slots only where nobody names a replica.
local function join_views(views)
  sizes = {}
  for _, view in pairs(views) do
    for name, size in pairs(view[2]) do sizes[name] = max(sizes[name] or 0, size) end
  end
  local whole_engine = sizes[ANYWHERE]
  sizes[ANYWHERE] = nil
  if not next(sizes) then sizes[ANYWHERE] = whole_engine end
end

local function known_views()
  local packed = call("HGET", state, "views")
  return packed and cmsgpack.unpack(packed) or {}
end

-- What a gateway sees, from this argument on: each replica's name and how many slots it has. Their names, in this order.
local function know_replicas(gateway, first)
  local views, order, own = known_views(), {}, {}
  for at = first, #ARGV, 2 do
    order[#order + 1] = ARGV[at]
    own[ARGV[at]] = tonumber(ARGV[at + 1])
  end
  for name, view in pairs(views) do
    if math.abs(now - view[1]) >= VIEW_MS then views[name] = nil end
  end
  views[gateway] = { now, own }
  join_views(views)
  call("HSET", state, "views", cmsgpack.pack(views))
  return order
end

-- The first of these with room that is not busier than its share, or the least busy one with room. nil where none has
-- any: `anyhow` one that has none, then. Who knows no replica leaves it open which one it is.
local function chosen(names, room, anyhow)
  if names[1] == ANYWHERE and not sizes[ANYWHERE] then return ANYWHERE end
  local share, found, least, busy, load = FACTOR * (held + 1) / max(capacity, 1), nil, nil, nil, nil
  for _, name in ipairs(names) do
    local size = sizes[name]
    local its = taken[name] / max(size, 1)
    if room[name] > 0 then
      if taken[name] < max(ceil(share * size), ceil(ALWAYS * size)) then return name end
      if not least or its < least then found, least = name, its end
    end
    if not load or its < load then busy, load = name, its end
  end
  return found or anyhow and (busy or ANYWHERE)
end

local function keep_place(member, began, caller, replica)
  call("HSET", places, member, table.concat({ whole(began), caller, replica }, ":"))
end

-- `caller`: the call that it was taken for.
local function hold(member, replica, lease, caller)
  call("ZADD", slots, whole(now + lease), member)
  keep_place(member, now, caller, replica)
  call("HINCRBY", state, "h:" .. replica, 1)
  if sizes[replica] then
    add_up(replica, taken[replica] + 1)
  else
    held, spare = held + 1, spare - 1
    free = max(0, spare)
  end
end

-- Where it has a slot, since when, and the call that it was taken for; nil: nowhere.
local function place_of(member)
  local began, caller, replica = string.match(call("HGET", places, member) or "", "^(%d+):(%w*):(.*)$")
  return replica, tonumber(began), caller
end

-- The same of one that has it no more.
local function let_go(member)
  if call("ZREM", slots, member) == 0 then return nil end
  local replica, began = place_of(member)
  call("HDEL", places, member)
  replica = replica or ANYWHERE
  if call("HINCRBY", state, "h:" .. replica, -1) <= 0 then call("HDEL", state, "h:" .. replica) end
  return replica, began or now
end

-- How long slots are held is learnt of replicas that work.
local function learn(replica, began)
  if not (sizes[replica] or sizes[ANYWHERE] or replica == ANYWHERE) then return end
  local mean, time = tonumber(call("HGET", state, "mean")), max(0, now - began)
  call("HSET", state, "mean", exact(mean and mean + WEIGHT * (time - mean) or time))
end

-- Whose time is over, the oldest first. Some may be left for the next call, which `lives` knows.
local function over(key) return call("ZRANGEBYSCORE", key, "-inf", whole(now), "LIMIT", 0, PRUNED) end

local function lives(key, member) return (tonumber(call("ZSCORE", key, member)) or 0) > now end

-- The same of members that nothing else is known of, whose scores are up to this.
local function forget(key, score)
  local count = min(PRUNED, call("ZCOUNT", key, "-inf", score))
  if count > 0 then call("ZREMRANGEBYRANK", key, 0, count - 1) end
end

-- Leases that are over. How many.
local function prune_slots()
  local members = over(slots)
  for _, member in ipairs(members) do let_go(member) end
  return #members
end
