-- Meters one response without holding it up: token usage of SSE and JSON answers, content events and bytes.
-- Cuts the usage that the gateway asked for out of streams whose client did not ask for it.
--
-- Runs in Envoy's Lua filter for every response of a metered surface. It must never buffer a body, never change a
-- byte other than usage, and never fail on what a provider sends: whatever it does not understand passes unmetered.
-- The counts go into dynamic metadata after every frame, so an access log line has them however the stream ends.

local find, sub, byte, match = string.find, string.sub, string.byte, string.match
local QUOTE, BACKSLASH, COLON, BRACE, CLOSE, BRACKET, CR, LF = 34, 92, 58, 123, 125, 91, 13, 10
local OBJECT_LIMIT = 65536 -- a usage object is a few hundred bytes; more is not one
local EVENT_LIMIT = 2 ^ 20 -- an event is a few hundred bytes too; a larger one is not held back for what it may say

-- Counts ------------------------------------------------------------------------------------------------------

-- The numbers of a usage object, OpenAI's names; nil where the provider said nothing.
local function counts_of(usage)
  return tonumber(match(usage, '"prompt_tokens"%s*:%s*(%d+)')),
    tonumber(match(usage, '"completion_tokens"%s*:%s*(%d+)')),
    tonumber(match(usage, '"cached_tokens"%s*:%s*(%d+)')),
    tonumber(match(usage, '"reasoning_tokens"%s*:%s*(%d+)'))
end

-- UTF-8 bytes of a JSON string's content between `from` and `to`, escapes decoded.
local function decoded_length(text, from, to)
  local length, at = 0, from
  while at <= to do
    local escape = find(text, "\\", at, true)
    if not escape or escape > to then return length + to - at + 1 end
    length = length + escape - at
    if byte(text, escape + 1) ~= 117 then -- not \uXXXX: one byte
      length, at = length + 1, escape + 2
    else
      local code = tonumber(sub(text, escape + 2, escape + 5), 16) or 0
      if code < 0x80 then length = length + 1
      elseif code < 0x800 then length = length + 2
      elseif code >= 0xD800 and code < 0xE000 then length = length + 2 -- half of a four-byte character
      else length = length + 3 end
      at = escape + 6
    end
  end
  return length
end

-- Position of the closing quote of a JSON string whose content starts at `at`; nil when it is not there yet.
local function string_end(text, at)
  while true do
    local stop = find(text, '["\\]', at)
    if not stop then return nil end
    if byte(text, stop) == QUOTE then return stop end
    at = stop + 2
  end
end

-- Finding `usage` -----------------------------------------------------------------------------------------------

-- Where the object or array that starts at `at` ends; nil when its end is not there yet.
local function container_end(text, at)
  local depth = 0
  while true do
    at = find(text, '["{}%[%]]', at)
    if not at then return nil end
    local char = byte(text, at)
    if char == QUOTE then
      at = string_end(text, at + 1)
      if not at then return nil end
    elseif char == BRACE or char == BRACKET then
      depth = depth + 1
    else
      depth = depth - 1
      if depth == 0 then return at end
    end
    at = at + 1
  end
end

-- The member `name` (with its quotes) of the JSON object that text[from..to] holds, nested ones passed over: key
-- start, value start. The certain way, for what the quick looks below are not sure of.
local function member_of(text, from, to, name)
  local at = find(text, "{", from, true)
  while at and at < to do
    at = find(text, '["{}%[%]]', at + 1)
    if not at or at > to then return nil end
    local char = byte(text, at)
    if char == QUOTE then
      local stop = string_end(text, at + 1)
      if not stop or stop > to then return nil end
      local value = sub(text, at, stop) == name and match(text, "^%s*:%s*()", stop + 1)
      if value then return at, value end
      at = stop
    elseif char == BRACE or char == BRACKET then
      at = container_end(text, at)
    else
      return nil
    end
  end
  return nil
end

-- The top-level usage of the event text[from..to] whose first `"usage"` stands at `key`, an object or null.
-- Returns key start, value start, value end; nil when there is none.
local function usage_in(text, from, to, key)
  local value = key + 8
  if byte(text, key + 7) ~= COLON or byte(text, value) ~= BRACE then
    value = match(text, "^%s*:%s*()", key + 7)
  end
  local last
  if value then
    _, last = find(text, "^%b{}", value)
    if not last then _, last = find(text, "^null", value) end
    -- Followed by nothing but the event's last brace, its parent can only be the top-level object.
    if last and last < to and byte(text, last + 1) == CLOSE then
      local next_char = byte(text, last + 2)
      if next_char == LF or next_char == CR then return key, value, last end
    end
  end
  key, value = member_of(text, from, to, '"usage"')
  if not key then return nil end
  if byte(text, value) == BRACE then
    last = container_end(text, value)
  else
    _, last = find(text, "^null", value)
  end
  if not last or last > to then return nil end
  return key, value, last
end

-- Whether the event answers nothing: `"choices":[]`, as the chunk that only carries usage does.
local function is_usage_chunk(text, from, to)
  local at = find(text, '"choices"', from, true)
  if not at or at > to or not find(text, "^%s*:%s*%[%s*%]", at + 9) then return false end
  local _, value = member_of(text, from, to, '"choices"') -- looked empty: make sure that it is the event's own
  return value ~= nil and find(text, "^%[%s*%]", value) ~= nil
end

-- Where to cut so that the member key..last and the comma that belongs to it are gone.
local function member_bounds(text, key, last)
  local first = key
  while true do
    local before = byte(text, first - 1)
    if before == 44 then return first - 1, last end
    if before == 32 or before == 9 then first = first - 1 else break end
  end
  local _, comma = find(text, "^%s*,%s*", last + 1)
  return key, comma or last
end

-- Server-sent events ----------------------------------------------------------------------------------------------

-- A string under one of these keys is generated output, in chat, completion and reasoning streams.
local CONTENT_PATTERNS = {}
for _, key in ipairs({ "content", "text", "reasoning_content", "reasoning", "arguments", "refusal" }) do
  CONTENT_PATTERNS[#CONTENT_PATTERNS + 1] = '"' .. key .. '"%s*:%s*"'
end

-- A meter for one stream. `hide_chunk`: drop the event that only carries usage; `hide_member`: cut usage out of
-- the other events. Feed it frames in order; with neither set it never asks for a frame to be changed.
-- `answers` to each of `prompts`: above one in all, a continuous report is about one choice, not about the request.
local function new_sse_meter(hide_chunk, hide_member, answers, prompts)
  local edits = hide_chunk or hide_member
  local meter = { content_events = 0, content_bytes = 0 }
  local tail, released = "", 0 -- an event's beginning, and how much of that has gone out already
  local by_choice = (answers or 1) * (prompts or 1) > 1 and {} or nil
  local by_prompt = {}
  local prefix = '"content":"' -- how this stream spells the start of generated text, learned as it goes

  -- Counts the text of one JSON string whose content starts at `start`; returns where to go on.
  local function count_string(text, start, escaped)
    local stop = escaped and string_end(text, start) or find(text, '"', start, true)
    if not stop then return nil end
    local bytes = escaped and decoded_length(text, start, stop - 1) or stop - start
    meter.content_bytes = meter.content_bytes + bytes
    return stop, bytes > 0
  end

  -- Counts all generated text of an event under whatever key, and learns how this stream spells it.
  local function count_any(event)
    local counted = false
    for _, pattern in ipairs(CONTENT_PATTERNS) do
      local at = 1
      while true do
        local key, start = find(event, pattern, at)
        if not key then break end
        local stop, some = count_string(event, start + 1, true)
        if not stop then break end
        if some then counted, prefix = true, sub(event, key, start) end
        at = stop
      end
    end
    return counted
  end

  -- Tokens of all choices and prompts so far, after the event text[from..to] reported `usage` for its own.
  local function add_choice(text, from, usage)
    local index = tonumber(match(text, '"index"%s*:%s*(%d+)', from))
    if not index then return end
    by_choice[index] = tonumber(match(usage, '"completion_tokens"%s*:%s*(%d+)'))
    by_prompt[math.floor(index / (answers or 1))] = tonumber(match(usage, '"prompt_tokens"%s*:%s*(%d+)'))
    meter.completion, meter.prompt = 0, nil
    for _, tokens in pairs(by_choice) do meter.completion = meter.completion + tokens end
    for _, tokens in pairs(by_prompt) do meter.prompt = (meter.prompt or 0) + tokens end
  end

  -- Counts the event text[from..to]. `escape` and `reasoning`: where the next backslash and the next word
  -- `reasoning` stand, a sign that the event may have text under two keys.
  local function count_content(text, from, to, escape, reasoning)
    local at = find(text, prefix, from, true)
    local counted = false
    if not at or at > to or byte(text, at + #prefix) == QUOTE or (reasoning and reasoning < to) then
      counted = count_any(sub(text, from, to))
    else
      local escaped = escape and escape < to
      while at and at < to do
        local stop, some = count_string(text, at + #prefix, escaped)
        counted = counted or some
        at = stop and find(text, prefix, stop, true)
      end
    end
    if counted then meter.content_events = meter.content_events + 1 end
  end

  -- End of the event that starts at `from`, its blank line included; nil when it is not complete.
  local function event_end(text, from)
    local _, stop = find(text, "\n\n", from, true)
    local cr = find(text, "\r", from, true)
    if cr and (not stop or cr < stop) then
      local _, crlf = find(text, "\r\n\r\n", from, true)
      if crlf and (not stop or crlf < stop) then return crlf end
    end
    return stop
  end

  -- Whether an event's beginning can be let go at once. There may be no further frame to let it go with: a whole
  -- line of data without usage, the end marker that some providers do not terminate, what is no event any more.
  local function can_go(beginning)
    local has_data = find(beginning, "^data:") or find(beginning, "\ndata:", 1, true)
    return (has_data and byte(beginning, #beginning) == LF and not find(beginning, '"usage"', 1, true))
      or find(beginning, "^data: ?%[DONE") ~= nil
      or #beginning > EVENT_LIMIT
  end

  -- Takes a frame ("" at the end of the stream); returns what to send in its place, or nil to leave it alone.
  function meter.feed(frame)
    local text = tail == "" and frame or tail .. frame
    local held = #tail
    local out, sent, from, size = nil, released, 1, #text
    local key, escape = find(text, '"usage"', 1, true), find(text, "\\", 1, true)
    local reasoning = find(text, "reasoning", 1, true)
    while from <= size do
      local to = event_end(text, from)
      if not to then break end
      if escape and escape < from then escape = find(text, "\\", from, true) end
      if reasoning and reasoning < from then reasoning = find(text, "reasoning", from, true) end
      if key and key < from then key = find(text, '"usage"', from, true) end
      local dropped = false
      if key and key < to then
        local member, value, last = usage_in(text, from, to, key)
        if member then
          local reports = byte(text, value) == BRACE
          local totals = reports and (edits or by_choice) and is_usage_chunk(text, from, to)
          if reports then
            meter.usage = sub(text, value, last)
            if totals then meter.completion, meter.prompt = nil, nil elseif by_choice then add_choice(text, from, meter.usage) end
          end
          if edits then
            local first, stop
            if totals then
              if hide_chunk then first, stop, dropped = from, to, true end
            elseif hide_member then
              first, stop = member_bounds(text, member, last)
            end
            if first and first <= released then first, dropped = nil, false end -- its beginning has gone out
            if first then
              out = out or {}
              out[#out + 1] = sub(text, sent + 1, first - 1)
              sent = stop
            end
          end
        end
      end
      if not dropped then count_content(text, from, to, escape, reasoning) end
      from = to + 1
    end

    tail = from > size and "" or sub(text, from)
    if not edits then
      if #tail > EVENT_LIMIT then tail = "" end
      return nil
    end
    -- An empty frame is the end of the stream, or nothing: what is held back goes out, and is still metered.
    local ends = tail ~= "" and (frame == "" or can_go(tail))
    local upto = ends and size or math.max(size - #tail, released)
    local untouched = not out and released == held and upto == size
    released = tail == "" and 0 or upto - from + 1
    if #tail > EVENT_LIMIT then tail, released = "", 0 end
    if untouched then return nil end
    out = out or {}
    out[#out + 1] = sub(text, sent + 1, upto)
    return table.concat(out)
  end

  return meter
end

-- JSON ----------------------------------------------------------------------------------------------------------

-- A meter for a JSON body of any size, fed frame by frame, that keeps only what may be part of the usage object.
-- A `"usage"` is the body's own when after it the depth falls by one and the body ends; a nested one is let go.
local function new_json_meter()
  local meter = { content_events = 0, content_bytes = 0 }
  local state, pending, depth, in_string, escaped = "seek", "", 0, false, false

  -- Walks what follows a candidate; returns where to seek on when it turns out to be nested.
  local function follow(text, at)
    if escaped and at <= #text then at, escaped = at + 1, false end
    while true do
      if in_string then
        local stop = find(text, '["\\]', at)
        if not stop then return nil end
        if byte(text, stop) == BACKSLASH then
          if stop == #text then escaped = true return nil end
          at = stop + 2
        else
          in_string, at = false, stop + 1
        end
      else
        local next_char = find(text, '["{}%[%]]', at)
        if not next_char then return nil end
        if depth < 0 then return next_char end -- more after the parent closed: it was not the body
        local char = byte(text, next_char)
        if char == QUOTE then in_string = true
        elseif char == BRACE or char == 91 then depth = depth + 1
        else depth = depth - 1 end
        at = next_char + 1
      end
    end
  end

  function meter.feed(frame)
    if frame == "" then return nil end
    meter.content_events, meter.content_bytes = 1, meter.content_bytes + #frame
    local text, at = pending .. frame, 1
    pending = ""
    while true do
      if state == "seek" then
        local key = find(text, '"usage"', at, true)
        if not key then
          pending = sub(text, math.max(at, #text - 5)) -- `"usage` may go on in the next frame
          return nil
        end
        local value = match(text, "^%s*:%s*(){", key + 7)
        if value then
          local last = container_end(text, value)
          if last then
            meter.usage, state, depth, in_string, escaped, at = sub(text, value, last), "follow", 0, false, false, last + 1
          elseif #text - value > OBJECT_LIMIT then
            at = #text - 5 -- not into it: an object that holds many of its own name would be walked for each
          else
            pending = sub(text, key)
            return nil
          end
        elseif #text - key < OBJECT_LIMIT and find(text, "^%s*:?%s*$", key + 7) then
          pending = sub(text, key)
          return nil
        else
          at = key + 7
        end
      else
        at = follow(text, at)
        if not at then return nil end
        meter.usage, state = nil, "seek"
      end
    end
  end

  return meter
end

-- Envoy -----------------------------------------------------------------------------------------------------------

local function meter_for(headers, request)
  local encoding = headers:get("content-encoding")
  if encoding and encoding ~= "identity" then return nil end
  local content_type = string.lower(headers:get("content-type") or "")
  if find(content_type, "text/event-stream", 1, true) then
    return new_sse_meter(request.hide_usage_chunk, request.hide_usage_member, request.answers, request.prompts)
  end
  if find(content_type, "application/json", 1, true) then return new_json_meter() end
  return nil
end

function envoy_on_response(handle)
  local request = handle:streamInfo():dynamicMetadata():get("hg.request")
  local headers = handle:headers()
  local status = tonumber(headers:get(":status"))
  if status >= 400 and not headers:get("x-headgate-error-source") then
    headers:add("x-headgate-error-source", "provider")
  end
  if not request or not request.endpoint or status >= 300 then return end
  local meter = meter_for(headers, request)
  if not meter then return end

  local usage, completion, reported = nil, nil, {}
  for chunk in handle:bodyChunks() do
    local size = chunk:length()
    local replacement = meter.feed(size > 0 and chunk:getBytes(0, size) or "")
    if replacement then chunk:setBytes(replacement) end
    -- Fetched anew for each frame: Envoy ends the script when an object is used across frames.
    local metadata = handle:streamInfo():dynamicMetadata()
    if meter.usage ~= usage or meter.prompt ~= reported[1] then
      usage = meter.usage
      local prompt, cached, reasoning
      prompt, completion, cached, reasoning = counts_of(usage or "")
      prompt = meter.prompt or prompt
      if prompt ~= reported[1] or cached ~= reported[2] or reasoning ~= reported[3] then
        reported = { prompt, cached, reasoning }
        metadata:set("hg.usage", "report", { prompt = prompt, cached = cached, reasoning = reasoning })
      end
    end
    -- What changes with every chunk, in one call: setting metadata is the dearest part of all this.
    metadata:set("hg.usage", "live", {
      completion = meter.completion or completion,
      events = meter.content_events,
      bytes = meter.content_bytes,
    })
  end
end
