
-- Takes a slot of an engine for a request, or a place in the line for one. Called again by those who wait: idempotent.
--
-- ARGV  2: member   3: class, 1 the most urgent   4: tenant   5: share   6: model   7: how many may wait for it; -1: this
--       one does not wait, and takes a slot whether there is one or not   8: slots of the engine   9: lease, ms
--       10: how long a waiting one counts as there, ms   11: how long it would wait, ms; -1 for ever
--
-- Returns {verdict, how many are ahead, when its turn is expected in ms (-1: unknown), how long it has waited in ms}.
-- Verdict: 1 it has a slot; 0 it waits; -1 it has ended already; -2 the line is full: of those who wait for this model
-- the one whose turn would come last is out, this one or another; -3 its turn would come too
-- late. Nothing is kept of one that is refused.

local member, class, tenant, share, model = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6]
local length, capacity, lease = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local beat, patience = tonumber(ARGV[10]), tonumber(ARGV[11])

call("HSET", state, "capacity", whole(capacity))
prune()
if call("ZSCORE", ended, member) then return { -1, 0, -1, 0 } end
if call("ZSCORE", slots, member) then return { 1, 0, 0, 0 } end

local function take_slot()
  call("ZADD", slots, whole(now + lease), member)
  call("ZADD", since, whole(now), member)
  tell()
  keep()
end

local packed = call("HGET", tickets, member)
if length < 0 or not packed and call("ZCARD", beats) < free_slots() then -- there is one for all who wait, too
  take_slot()
  return { 1, 0, 0, 0 }
end

local place

local function is_next()
  for _, one in ipairs(next_ones(free_slots())) do
    if one == member then return true end
  end
  return false
end

local function ahead_of()
  local ahead = call("ZRANK", line_of(class), place)
  for other = 1, class - 1 do ahead = ahead + call("ZCARD", line_of(other)) end
  return ahead
end

local function expected(ahead)
  local mean = tonumber(call("HGET", state, "mean"))
  return mean and capacity > 0 and ceil((ahead + 1) * mean / capacity) or -1
end

local function serve()
  local passed, heads = passed_now(), {}
  local joined, of = take_out(member, true)
  for other = 1, CLASSES do heads[other] = call("ZCARD", line_of(other)) > 0 end
  pass(of, heads, passed)
  for other = 1, CLASSES do
    if heads[other] then call("HSET", state, "p:" .. other, passed[other]) end
  end
  take_slot()
  return { 1, 0, 0, max(0, now - joined) }
end

-- Of those who wait for the model the one whose turn would come last: there is one, who has just joined.
local function last_one()
  local last = call("ZREVRANGEBYLEX", models, "(" .. model .. "\1", "[" .. model .. "\0", "LIMIT", 0, 1)[1]
  return string.sub(last, #model + 28) -- behind model, NUL, class (1), tag (8), place (16) and colon
end

local function refused(verdict)
  local ahead = ahead_of()
  take_out(member, false)
  tell()
  return { verdict, ahead, expected(ahead), 0 }
end

local joined
if packed then
  local _
  class, _, _, _, place, _, joined = unpack(cmsgpack.unpack(packed))
  call("ZADD", beats, whole(now + beat), member)
  if is_next() then return serve() end
else
  local finish, served, waiting = tags_of(class, tenant)
  local start = max(number_of("v:" .. class), waiting > 0 and finish or served)
  place, joined = string.format("%016.0f:%s", call("HINCRBY", state, "seq", 1), member), now
  call("HSET", tickets, member, cmsgpack.pack({ class, tenant, share, model, place, start, now }))
  call("ZADD", beats, whole(now + beat), member)
  call("ZADD", line_of(class), exact(start), place)
  call("ZADD", models, 0, among_models(model, class, start, place))
  call("HINCRBY", state, "n:" .. model, 1)
  keep_tags(class, tenant, start + 1 / share, served, waiting + 1)
  if is_next() then return serve() end
  if patience >= 0 and expected(ahead_of()) > patience then return refused(-3) end
  if number_of("n:" .. model) > length then
    local out = last_one()
    if out == member then return refused(-2) end
    take_out(out, false)
    redis.pcall("PUBLISH", "hg:queue", cmsgpack.pack({ slots, true, { out } }))
  end
end
tell()
keep()
local ahead = ahead_of()
return { 0, ahead, expected(ahead), max(0, now - joined) }
