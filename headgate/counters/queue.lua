
-- Who waits for a slot of an engine.
--
-- A ticket is a member that waits. Within a class they stand by their start tags (start-time fair queueing, Goyal, Vin,
-- Cheng 1996): a tenant's next one is 1 / share after its last one, and never before the class's virtual time, which is
-- the tag of the last one that was served. So a tenant's tickets keep their order, and tenants take turns by their shares.
-- Of classes the most urgent one is served, but after PASSED tickets that went before it a class has its turn. A ticket
-- that may go to some replicas only waits for one of them: those behind it are served by others meanwhile.
-- state: `seq`, `full` and `told` (what was published, and when), `n:MODEL` (who waits for it), `v:CLASS` its virtual
-- time, `p:CLASS` how many went before it, `few` how many who wait may go to some replicas only.

local CLASSES, PASSED, LIFE, AT_ONCE = 3, 8, 3600000, 64
local LOOKED_PAST = 256 -- of those whose replicas have no room, at most
local TELL_MS = 900 -- a full engine is said to be full as often, at most: who hears nothing forgets it

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

-- The call that a ticket was looked at for last.
local function caller_of(packed) return cmsgpack.unpack(packed)[9] end

-- Takes a ticket out; `served` when it has a slot now. When nobody of a class waits, all of it is forgotten.
local function take_out(member, served)
  local packed = call("HGET", tickets, member)
  if not packed then return nil end
  local class, tenant, share, model, place, start, joined, only = unpack(cmsgpack.unpack(packed))
  call("HDEL", tickets, member)
  if only then call("HINCRBY", state, "few", -1) end
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
  prune_slots()
  for _, member in ipairs(call("ZRANGEBYSCORE", beats, "-inf", whole(now))) do take_out(member, false) end
  call("ZREMRANGEBYSCORE", ended, "-inf", whole(now))
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

-- Where a ticket may go; nil: anywhere.
local function only_of(place)
  local packed = call("HGET", tickets, string.sub(place, 18))
  return packed and cmsgpack.unpack(packed)[8] or nil
end

local function with_room(only, room)
  for _, name in ipairs(only) do
    if (room[name] or 0) > 0 then return name end
  end
end

-- The first of a line, from `at` on, that some replica has room for, and where in the line that is.
local function head_of(line, at, room)
  while line[at] do
    local only = only_of(line[at])
    if not only or with_room(only, room) then break end
    at = at + 1
  end
  return at
end

-- The next `count` members, in their order, or up to `wanted`: then also what is left for it by those before that may
-- go to some replicas only.
local function next_ones(count, wanted)
  local lines, at, passed, found, room = {}, {}, passed_now(), {}, {}
  local few = number_of("few")
  for name, its in pairs(rooms) do room[name] = its end
  for class = 1, CLASSES do
    local last = count - 1 + min(few, LOOKED_PAST)
    lines[class], at[class] = count > 0 and call("ZRANGE", line_of(class), 0, whole(last)) or {}, 1
  end
  while #found < count do
    local heads = {}
    for class = 1, CLASSES do
      if few > 0 then at[class] = head_of(lines[class], at[class], room) end
      heads[class] = lines[class][at[class]]
    end
    local class = class_of(heads, passed)
    if not class then break end
    local member = string.sub(heads[class], 18)
    if member == wanted then return found, room end
    local only = few > 0 and only_of(heads[class])
    if only then
      local name = with_room(only, room)
      room[name] = room[name] - 1
    end
    found[#found + 1] = member
    at[class] = at[class] + 1
    pass(class, heads, passed)
  end
  return found
end

-- Tells those whose turn it is, and everybody whether others find a slot here. Whether none does, and how many wait.
local function tell()
  local waiting = call("ZCARD", beats)
  -- Nobody has said how many slots there are, or there was no replica: that is no reason to pass it over.
  if waiting == 0 and capacity == 0 then return false, 0 end
  local count = min(free, AT_ONCE)
  local called = count > 0 and waiting > 0 and next_ones(count) or {}
  local stuck = min(waiting, count) - #called -- what is free is not where they may go
  local is_full, was_full = waiting - stuck >= free, number_of("full") == 1
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
