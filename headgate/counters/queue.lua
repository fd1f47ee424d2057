
-- Who waits for a slot of an engine.
--
-- A ticket is a member that waits. Within a class they stand by their start tags (start-time fair queueing, Goyal, Vin,
-- Cheng 1996): a tenant's next one is 1 / share after its last one, and never before the class's virtual time, which is
-- the tag of the last one that was served. So a tenant's tickets keep their order, and tenants take turns by their shares.
-- Of classes the most urgent one is served, but after PASSED tickets that went before it a class has its turn.
-- Of some tickets it is said that they may go to some replicas only, by their `reach`: names in order, "" for anywhere,
-- NONE where their gateway sees no replica that others see, or they only keep their place. One waits for those, and who
-- stands behind it is served by others meanwhile: so tickets of one reach are a line of their own, and lines without room
-- are not looked at.
-- state: `seq`, `full` and `told` (what was published, and when), `n:MODEL` (who waits for it), `v:CLASS` its virtual
-- time, `p:CLASS` how many went before it.

local CLASSES, PASSED, LIFE, AT_ONCE = 3, 8, 3600000, 64
local PAGE = 64 -- tickets of a line are read so many at a time
local MOST_PAST = 10000 -- tenants of a class that had a turn and wait no more: beyond that the first ones are forgotten
local TELL_MS = 900 -- a full engine is said to be full as often, at most: who hears nothing forgets it
local NONE = " "
local reaches = KEYS[14]

local function line_of(class) return KEYS[6 + class] end
local function tenants_of(class) return KEYS[9 + class] end
local function past_of(class) return KEYS[14 + class] end

-- Where a ticket stands among those of its model, or of its reach: bytes that sort as class, tag and place do. No tag
-- is negative, and such doubles sort by their bytes, the largest first.
local function among(of, class, start, place)
  return of .. "\0" .. class .. struct.pack(">d", start) .. place
end

-- The tag and the place in it.
local function read_among(of, found)
  return struct.unpack(">d", found, #of + 3), string.sub(found, #of + 11)
end

-- How many may not go just anywhere.
local function confined() return call("ZLEXCOUNT", reaches, "(\1", "+") end

-- Of a tenant in a class: the tag behind its last ticket, the one behind the last that was served, how many wait.
local function tags_of(class, tenant)
  local packed = call("HGET", tenants_of(class), tenant)
  if packed then return unpack(cmsgpack.unpack(packed)) end
  return 0, tonumber(call("ZSCORE", past_of(class), tenant)) or 0, 0
end

-- Of one that waits no more only what may yet keep it behind others: a tag that the class's virtual time has not reached.
local function keep_tags(class, tenant, finish, served, waiting)
  if waiting > 0 then
    call("HSET", tenants_of(class), tenant, cmsgpack.pack({ finish, served, waiting }))
    return
  end
  call("HDEL", tenants_of(class), tenant)
  if served <= number_of("v:" .. class) then return end
  call("ZADD", past_of(class), exact(served), tenant)
  if call("ZCARD", past_of(class)) > MOST_PAST then call("ZREMRANGEBYRANK", past_of(class), 0, 0) end
end

-- The call that a ticket was looked at for last.
local function caller_of(packed) return cmsgpack.unpack(packed)[9] end

-- Takes a ticket out; `served` when it has a slot now. When nobody of a class waits, all of it is forgotten.
local function take_out(member, served)
  local packed = call("HGET", tickets, member)
  if not packed then return nil end
  local class, tenant, share, model, place, start, joined, reach = unpack(cmsgpack.unpack(packed))
  call("HDEL", tickets, member)
  call("ZREM", beats, member)
  call("ZREM", line_of(class), place)
  call("ZREM", models, among(model, class, start, place))
  call("ZREM", reaches, among(reach, class, start, place))
  if call("HINCRBY", state, "n:" .. model, -1) <= 0 then call("HDEL", state, "n:" .. model) end
  if call("ZCARD", line_of(class)) == 0 then
    call("DEL", tenants_of(class), past_of(class))
    call("HDEL", state, "v:" .. class, "p:" .. class)
    return joined, class
  end
  local finish, behind, waiting = tags_of(class, tenant)
  if served then
    behind = start + 1 / share
    local virtual = exact(max(start, number_of("v:" .. class)))
    call("HSET", state, "v:" .. class, virtual)
    forget(past_of(class), virtual)
  elseif finish == start + 1 / share then -- its last one has not cost it a turn
    finish = start
  end
  keep_tags(class, tenant, finish, behind, waiting - 1)
  return joined, class
end

-- Lets go of what is over: leases, and those who wait and have not been heard of. Whether some of it may be left.
local function prune()
  local leases, silent = prune_slots(), over(beats)
  for _, member in ipairs(silent) do
    if not take_out(member, false) then call("ZREM", beats, member) end
  end
  forget(ended, whole(now))
  return leases == PRUNED or #silent == PRUNED
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

-- The first of these that has room.
local function with_room(names, room)
  for _, name in ipairs(names) do
    if (room[name] or 0) > 0 then return name end
  end
end

-- A line of one class and reach; `only` nil: they may go anywhere. `after` is the last one that was read.
local function opened(reach, only, class, count)
  local after = "[" .. reach .. "\0" .. class
  return { reach = reach, only = only, class = class, page = min(PAGE, count), after = after, at = 1 }
end

-- Reads on where all that was read is taken. Whether somebody stands there.
local function has_head(line)
  if line.tag then return true end
  local read = line.read
  if not read or line.at > #read then
    if read and #read < line.page then return false end
    local behind = "(" .. line.reach .. "\0" .. line.class + 1
    line.read = call("ZRANGEBYLEX", reaches, line.after, behind, "LIMIT", 0, line.page)
    read, line.at = line.read, 1
    if #read == 0 then return false end
    line.after = "(" .. read[#read]
  end
  line.tag, line.place = read_among(line.reach, read[line.at])
  return true
end

local function take_head(line) line.tag, line.at = nil, line.at + 1 end

-- The lines of all reaches that have room.
local function lines_with(room, count)
  local lines, from = {}, "-"
  while true do
    local first = call("ZRANGEBYLEX", reaches, from, "+", "LIMIT", 0, 1)[1]
    if not first then return lines end
    local reach, only = string.sub(first, 1, string.find(first, "\0", 1, true) - 1), nil
    if reach ~= "" then
      only = {}
      for name in string.gmatch(reach, "%S+") do only[#only + 1] = name end
    end
    if not only or with_room(only, room) then
      for class = 1, CLASSES do lines[#lines + 1] = opened(reach, only, class, count) end
    end
    from = "(" .. reach .. "\1"
  end
end

-- The line of each class that the class's next one stands in.
local function heads_of(lines, room)
  local heads = {}
  for _, line in ipairs(lines) do
    if (not line.only or with_room(line.only, room)) and has_head(line) then
      local best = heads[line.class]
      -- Places begin with digits: the order of these is the same in each locale.
      if not best or line.tag < best.tag or line.tag == best.tag and line.place < best.place then
        heads[line.class] = line
      end
    end
  end
  return heads
end

-- The next `count` members, in their order, or up to `wanted`: then also what is left for it by those before that may
-- go to some replicas only.
local function next_ones(count, wanted)
  local found, room, passed = {}, {}, passed_now()
  for name, its in pairs(rooms) do room[name] = its end
  local lines = count > 0 and lines_with(room, count) or {}
  while #found < count do
    local heads = heads_of(lines, room)
    local class = class_of(heads, passed)
    if not class then break end
    local line = heads[class]
    local member = string.sub(line.place, 18)
    if member == wanted then return found, room end
    if line.only then
      local name = with_room(line.only, room)
      room[name] = room[name] - 1
    end
    found[#found + 1] = member
    take_head(line)
    pass(class, heads, passed)
  end
  return found
end

-- Tells those whose turn it is, and everybody whether others find no slot here: whether one more, which may go anywhere
-- and comes after all who wait, would wait too. So it is when each free slot is for one of those; who can't go where one
-- is free takes none. Returns whether it is so, and how many wait.
local function tell()
  local waiting = call("ZCARD", beats)
  -- Nobody has said how many slots there are, or there was no replica: that is no reason to pass it over.
  if waiting == 0 and capacity == 0 then return false, 0 end
  local count = min(free, AT_ONCE)
  if count < free and waiting > count and confined() > 0 then count = free end -- or else so many are enough to know it
  local called = count > 0 and waiting > 0 and next_ones(count) or {}
  local is_full, was_full = #called == count and waiting >= free, number_of("full") == 1
  if #called == 0 and is_full == was_full and not (is_full and now - number_of("told") >= TELL_MS) then
    return is_full, waiting
  end
  call("HSET", state, "full", is_full and 1 or 0, "told", whole(now))
  called = { unpack(called, 1, min(#called, AT_ONCE)) }
  -- Not allowed to: then those who wait look by themselves.
  redis.pcall("PUBLISH", "hg:queue", cmsgpack.pack({ KEYS[1], is_full, called }))
  return is_full, waiting
end

local function keep()
  for _, key in ipairs(KEYS) do call("PEXPIRE", key, LIFE) end
end
