
-- Takes a slot of an engine for a request, or a place in the line for one. Called again by those who wait: idempotent.
--
-- ARGV  2: member   3: class, 1 the most urgent   4: tenant   5: share   6: model   7: how many may wait for it; -1: this
--       one does not wait, and takes a slot whether there is one or not   8: lease, ms
--       9: how long a waiting one counts as there, ms   10: how long it would wait, ms; -1 for ever
--       11: how many of the replicas it may go to, the first ones; 0: to all; -1: to none as yet, it keeps its place
--       12: the call that asks, of those that were made for this request   13: 1 where it asks for the first time
--       14: which gateway asks   15..: each replica that it sees, and how many slots that has; those first that the
--       request had better go to
--
-- Returns {verdict, how many are ahead, when its turn is expected in ms (-1: unknown), how long it has waited in ms, the
-- replica whose slot it has}. Verdict: 1 it has a slot; 0 it waits; -1 it has ended already; -2 the line is full: of
-- those who wait for this model one is out, this one or another; -3 its turn would come too late; -4 another call has come
-- for the request since, which it is whose now. Nothing is kept of one that is refused, which nobody is while some of what
-- is over may have to be let go yet.

local member, class, tenant, share, model = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6]
local length, lease, beat, patience = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local caller, is_new = ARGV[12], ARGV[13] == "1"

local mine, some = know_replicas(ARGV[14], 15), tonumber(ARGV[11])
local is_bound = some < 0 or some > 0 and #mine > 0 and mine[1] ~= ANYWHERE
if is_bound then mine = { unpack(mine, 1, max(some, 0)) } end

-- Where its ticket may go. A gateway that does not see all replicas sends nothing to the others.
local function reach_now()
  local count, names = 0, { unpack(mine) }
  for _ in pairs(sizes) do count = count + 1 end
  if not is_bound and (#names == count or names[1] == ANYWHERE) then return "" end
  table.sort(names)
  return #names > 0 and table.concat(names, " ") or NONE
end

local has_more = prune()
if lives(ended, member) then return { -1, 0, -1, 0, "" } end
if lives(slots, member) then
  local replica, began, of = place_of(member)
  if replica and of ~= caller then
    if not is_new then return { -4, 0, -1, 0, "" } end
    keep_place(member, began, caller, replica)
  end
  return { 1, 0, 0, 0, replica or ANYWHERE }
end
if has_more then let_go(member) end
count_slots()

local function take_slot(replica, waited)
  hold(member, replica, lease, caller)
  tell()
  keep()
  return { 1, 0, 0, waited, replica }
end

local function serve(replica)
  local passed, heads = passed_now(), {}
  local joined, of = take_out(member, true)
  for other = 1, CLASSES do heads[other] = call("ZCARD", line_of(other)) > 0 end
  pass(of, heads, passed)
  for other = 1, CLASSES do
    if heads[other] then call("HSET", state, "p:" .. other, passed[other]) end
  end
  return take_slot(replica, max(0, now - joined))
end

local packed = call("HGET", tickets, member)
if packed and not is_new and caller_of(packed) ~= caller then return { -4, 0, -1, 0, "" } end
if length < 0 then
  local replica = chosen(mine, rooms, true)
  return packed and serve(replica) or take_slot(replica, 0)
end
-- There is a slot for all who wait, too, wherever that is.
if not packed and call("ZCARD", beats) < free and confined() == 0 then
  local replica = chosen(mine, rooms)
  if replica then return take_slot(replica, 0) end
end

local place

-- Its turn may have come: then the replica that it goes to.
local function turn()
  local _, room = next_ones(free, member)
  return room and chosen(mine, room)
end

-- No more of other classes than may go before it, until it is its class's turn.
local function ahead_of()
  local ahead, others = call("ZRANK", line_of(class), place), 0
  for other = 1, class - 1 do others = others + call("ZCARD", line_of(other)) end
  return ahead + min(others, max(0, PASSED * (ahead + 1) - number_of("p:" .. class)))
end

local function expected(ahead)
  local mean = tonumber(call("HGET", state, "mean"))
  return mean and capacity > 0 and ceil((ahead + 1) * mean / capacity) or -1
end

-- Of those who wait for the model the one whose turn would come last, of the least urgent class that has more of them
-- than it keeps whoever comes: an eighth of the line. There is one, who has just joined.
local function last_one()
  local kept, out = max(1, floor(length / PASSED)), nil
  for other = CLASSES, 1, -1 do
    local from, to = "[" .. model .. "\0" .. other, "(" .. model .. "\0" .. other + 1
    local count = call("ZLEXCOUNT", models, from, to)
    if count > kept or count > 0 and not out then
      out = call("ZREVRANGEBYLEX", models, to, from, "LIMIT", 0, 1)[1]
      if count > kept then break end
    end
  end
  return string.sub(out, #model + 28) -- behind model, NUL, class (1), tag (8), place (16) and colon
end

local function refused(verdict)
  local ahead = ahead_of()
  take_out(member, false)
  tell()
  return { verdict, ahead, expected(ahead), 0, "" }
end

-- Where it may go may have changed, as adapters and replicas come and go.
local function keep_ticket(ticket)
  local before, start = ticket[8], ticket[6]
  ticket[8], ticket[9] = reach_now(), caller
  call("HSET", tickets, member, cmsgpack.pack(ticket))
  if before ~= ticket[8] then
    if before then call("ZREM", reaches, among(before, class, start, place)) end
    call("ZADD", reaches, 0, among(ticket[8], class, start, place))
  end
  call("ZADD", beats, whole(now + beat), member)
end

local joined
if packed then
  local ticket = cmsgpack.unpack(packed)
  class, place, joined = ticket[1], ticket[5], ticket[7]
  keep_ticket(ticket)
  local replica = turn()
  if replica then return serve(replica) end
else
  local finish, served, waiting = tags_of(class, tenant)
  local start = max(number_of("v:" .. class), waiting > 0 and finish or served)
  place, joined = string.format("%016.0f:%s", call("HINCRBY", state, "seq", 1), member), now
  keep_ticket({ class, tenant, share, model, place, start, now })
  call("ZADD", line_of(class), exact(start), place)
  call("ZADD", models, 0, among(model, class, start, place))
  call("HINCRBY", state, "n:" .. model, 1)
  keep_tags(class, tenant, start + 1 / share, served, waiting + 1)
  local replica = turn()
  if replica then return serve(replica) end
  if not has_more and patience >= 0 and expected(ahead_of()) > patience then return refused(-3) end
  if not has_more and number_of("n:" .. model) > length then
    local out = last_one()
    if out == member then return refused(-2) end
    take_out(out, false)
    redis.pcall("PUBLISH", "hg:queue", cmsgpack.pack({ slots, true, { out } }))
  end
end
tell()
keep()
local ahead = ahead_of()
return { 0, ahead, expected(ahead), max(0, now - joined), "" }
