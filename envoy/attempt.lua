-- Makes one attempt's request right for the provider that this attempt goes to, whatever the attempt before left, and
-- marks answers that another target may do better. Runs in each provider cluster's upstream filters.
--
-- `CONFIG` is set in front of this text when the configuration is rendered:
--   path     what stands for the client's /v1
--   deployed whether the attempt's model follows the path, as one of Azure's deployments; responses are at none
--   query    what the path ends with
--   host
--   keep     the request headers that may leave; all others stay here: credentials, cookies, proxies' notes
--   key      of a provider that takes one: its `file`, the `header` that carries it and the `prefix` before it
--   pooled   the name of the key where its provider has several
--   version  the `header` and the `value` that the provider's API has to be told
--   broken   the error, in the provider's API, in the place of an answer that is none
--   failed   the one in the place of what an engine says of its own failure; nil of other providers
--   refused  the one in the place of what a provider says of its key
--   signed   whether requests are signed with a key that this script does not see
--   stream   the type of the provider's streams
--   counted  the cluster of a provider whose answers may say what is left of its limits
--   statuses of a provider that names its errors: the status for a name that says more than the error's own status

local key, looked

-- What the file says, looked at again every second: a renewed key needs no configuration. It stands in memory only,
-- never in what Envoy can dump. While the file cannot be read, the last key goes on; an empty one is no key.
local function provider_key()
  local now = os.time()
  if looked ~= now then
    looked = now
    local file = io.open(CONFIG.key.file, "r")
    if file then
      key = file:read("*a")
      file:close()
    end
  end
  return key ~= "" and key or nil
end

-- Envoy's table of local replies says it in the client's API (headgate/edge/replies.py). Where a provider has several
-- keys this attempt goes as it is instead: the provider refuses it, and another one may have a key.
local function refuse_without_key(handle)
  handle:streamInfo():dynamicMetadata():set("hg.attempt", "keyless", true)
  handle:respond({ [":status"] = "503" }, "")
end

-- Of headers that stay here, those that no provider is sent: credentials, and what clients and proxies say of
-- themselves.
local NEVER = {
  ["accept-encoding"] = true, ["api-key"] = true, authorization = true, connection = true, cookie = true,
  ["proxy-authorization"] = true, ["x-api-key"] = true, ["x-goog-api-key"] = true,
}
local NEVER_PREFIXES = { "^x%-amz%-", "^x%-envoy%-", "^x%-forwarded%-", "^x%-headgate%-", "^x%-stainless%-" }

local function may_wait(name)
  if CONFIG.keep[name] or NEVER[name] then return false end
  for _, prefix in ipairs(NEVER_PREFIXES) do
    if name:find(prefix) then return false end
  end
  return true
end

-- Keeps headers that this provider is not sent for another one of the plan that may be.
local function set_aside(metadata, headers)
  local aside = {}
  for name, value in pairs(headers) do
    if may_wait(name) then aside[name] = value end
  end
  for name, value in pairs(aside) do metadata:set("hg.aside", name, value) end
end

-- What is there already was set for this attempt, by its translation.
local function bring_back(headers, aside)
  for name, value in pairs(aside) do
    if CONFIG.keep[name] and not headers:get(name) then headers:replace(name, value) end
  end
end

local function drop_what_stays(headers)
  local drop = {}
  for name in pairs(headers) do
    if not CONFIG.keep[name] then drop[#drop + 1] = name end
  end
  for _, name in ipairs(drop) do
    headers:remove(name)
  end
end

-- A plan with more than one target says which model each attempt asks for; `models` is absent otherwise.
local function turn_to_attempt(metadata, request, headers, number)
  metadata:set("hg.request", "upstream_model", request.models[number])
  local aside = metadata:get("hg.aside")
  if aside then bring_back(headers, aside) end
end

local function path_of(request, number, endpoint)
  local model = request.models and request.models[number] or request.upstream_model
  local at_model = CONFIG.deployed and not endpoint:find("^/responses")
  local path = CONFIG.path .. (at_model and "/deployments/" .. model or "") .. endpoint
  local has_query = CONFIG.query ~= "" and endpoint:find("?", 1, true)
  return path .. (has_query and "&" .. CONFIG.query:sub(2) or CONFIG.query)
end

function envoy_on_request(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local request = metadata:get("hg.request")
  local headers = handle:headers()
  local number = tonumber(headers:get("x-envoy-attempt-count")) or 1
  local path = headers:get("x-headgate-path")
  if request.models then set_aside(metadata, headers) end
  drop_what_stays(headers)
  if number > 1 then
    if request.models then turn_to_attempt(metadata, request, headers, number) end
    -- Without a path of its own the body is the planned one; an attempt before may have had another one.
    if not path then headers:replace("content-length", request.length) end
  end
  headers:replace(":path", path_of(request, number, path or request.endpoint))
  -- What this attempt's body was made without, for its answer.
  if request.drops then metadata:set("hg.request", "dropped", request.drops[number] or "") end
  -- Whoever notes who made a response asks for it; an attempt before may have gone with a key of another provider.
  if CONFIG.pooled or request.key then metadata:set("hg.request", "key", CONFIG.pooled or "") end
  headers:replace(":authority", CONFIG.host)
  if CONFIG.version and not headers:get(CONFIG.version.header) then
    headers:add(CONFIG.version.header, CONFIG.version.value)
  end
  if CONFIG.key then
    local key_now = provider_key()
    if key_now then
      headers:replace(CONFIG.key.header, CONFIG.key.prefix .. key_now)
    elseif not CONFIG.pooled then
      return refuse_without_key(handle)
    end
  end
end

-- How providers say that a prompt is too long for a model, in lower case.
local TOO_LONG = {
  "context_length_exceeded",
  "maximum context length",
  "prompt is too long",
  "context window",
  "exceeds the model's context",
  "too many input tokens",
  "input is too long",
  "exceed context limit",
  "exceeds the maximum number of tokens allowed",
  "number of input tokens exceeds",
  "number of tokens in the prompt",
  "size limit exceeded by",
}
local ERROR_BYTES = 65536

local function says_too_long(handle)
  local body = handle:body()
  if not body then return false end
  local text = body:getBytes(0, math.min(body:length(), ERROR_BYTES)):lower()
  for _, words in ipairs(TOO_LONG) do
    if text:find(words, 1, true) then return true end
  end
  return false
end

-- How providers say what is wrong with a key, by the value of a member of their error: text that a client wrote may come
-- back in an error, but with its quotes escaped. "key": it is refused, whatever is asked with it. "permission": it may
-- not do this, and others may.
local ABOUT_KEY = {
  account_deactivated = "key", api_key_invalid = "key", authentication_error = "key", consumer_suspended = "key",
  expiredtokenexception = "key", invalid_api_key = "key", organization_restricted = "key", unauthenticated = "key",
  unrecognizedclientexception = "key",
  accessdeniedexception = "permission", permission_denied = "permission", permission_error = "permission",
}
local ABOUT_KEY_IN_WORDS = {
  ["you have insufficient permissions"] = "permission",
  ["authentication failed"] = "key", ["invalid api key"] = "key", ["your api key was reported as leaked"] = "key",
}

local function about_key(text)
  for words, what in pairs(ABOUT_KEY_IN_WORDS) do
    if text:find('"message"%s*:%s*"' .. words) then return what end
  end
  local found
  for value in text:gmatch('"[%a_]+"%s*:%s*"([%a_]+)"') do
    if ABOUT_KEY[value] == "key" then return "key" end
    found = found or ABOUT_KEY[value]
  end
  return found
end

-- Of a key out of several: what an answer with this status says of it; nil where another key would do no better. A 400
-- is the request's fault unless it names the key, a 403 may be somebody's moderation. `name`: as Amazon names the error.
local function fault_of_key(handle, status, name)
  if status == "402" then return "key" end
  if status ~= "400" and status ~= "401" and status ~= "403" then return nil end
  local body = handle:body()
  local said = body and about_key(body:getBytes(0, math.min(body:length(), ERROR_BYTES)):lower())
  said = said ~= "key" and name and ABOUT_KEY[name:match("^[^:]*"):lower()] or said
  if status == "401" then return said or "key" end
  return (status == "403" or said == "key") and said or nil
end

-- Whether the plan says that an answer of this type may come too: a type, or with a slash at its end a kind of types.
local function is_among(handle, type)
  local request = handle:streamInfo():dynamicMetadata():get("hg.request")
  for _, one in ipairs(request and request.answer_types or {}) do
    if type == one or (one:sub(-1) == "/" and type:sub(1, #one) == one) then return true end
  end
  return false
end

-- Whether an answer can be what a provider's API promises: JSON or an event stream, elsewhere sound or text, and as it
-- is, since nobody asked for compression.
local function is_readable(handle, headers)
  local type, encoding = headers:get("content-type"), headers:get("content-encoding")
  type = type and type:match("^[^;%s]*"):lower()
  return type ~= nil
    and (type == "application/json" or type == CONFIG.stream or is_among(handle, type))
    and (not encoding or encoding == "" or encoding:lower() == "identity")
end

-- Makes an answer that is not the provider's API (a page of some proxy between, a redirect) an error in that API. The
-- router sees the status at once and moves on where there is a further target; the body goes piece by piece,
-- `is_held` if it has been read already, and no more of it than a piece is held. Each `setBytes` says in the head that
-- its piece is all of the body: no later filter may keep the head waiting while pieces come, unless it takes that out.
local function make_error(handle, status, text, is_held)
  local headers = handle:headers()
  if text == CONFIG.broken then
    handle:logWarn(("not a provider's API: %s, %q"):format(status, (headers:get("content-type") or ""):sub(1, 80)))
  end
  headers:replace(":status", status)
  headers:replace("content-type", "application/json")
  for _, name in ipairs({ "content-length", "content-encoding", "location" }) do
    headers:remove(name)
  end
  if not is_held then
    for chunk in handle:bodyChunks() do
      if text ~= "" or chunk:length() > 0 then chunk:setBytes(text) end
      text = ""
    end
  end
  -- No body: one can be made while the headers wait, which they do not if there are trailers.
  if text ~= "" and (is_held or not handle:trailers()) then handle:body(true):setBytes(text) end
end

-- Whether a 404 of a request for an adapter is about that, and not about something stored or a path.
local function lacks_adapter(handle)
  local request = handle:streamInfo():dynamicMetadata():get("hg.request")
  if not request.base_model then return false, false end
  local body = handle:body()
  if not body then return false, true end
  return body:getBytes(0, math.min(body:length(), ERROR_BYTES)):find(request.upstream_model, 1, true) ~= nil, true
end

-- Amazon names an error in a header: `ThrottlingException`, with an address behind it or without.
local function named_status(headers, status)
  local name = headers:get("x-amzn-errortype")
  headers:remove("x-amzn-errortype")
  local meant = name and CONFIG.statuses[name:match("^[^:]*")]
  if meant and status >= "400" then headers:replace(":status", meant) end
  return meant and status >= "400" and meant or status
end

-- What is left of the provider's limits is for the record, and for nobody else.
local function note_left(handle, headers)
  local left = headers:get("x-headgate-left")
  headers:remove("x-headgate-left")
  if not left or not left:find("%d") then return end
  local metadata = handle:streamInfo():dynamicMetadata()
  local model = metadata:get("hg.request").upstream_model
  metadata:set("hg.request", "provider_left", CONFIG.counted .. "\n" .. model .. "\n" .. left)
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if CONFIG.counted then note_left(handle, headers) end
  local status, readable = headers:get(":status"), is_readable(handle, headers)
  if status == "200" and readable then return end
  local name = CONFIG.statuses and headers:get("x-amzn-errortype")
  if CONFIG.statuses then status = named_status(headers, status) end
  local fault = CONFIG.pooled and fault_of_key(handle, status, name)
  if fault then
    headers = handle:headers()
    headers:add("x-headgate-retry", fault)
  end
  -- What it says of our key is not for clients: it may show some of it.
  if (CONFIG.key or CONFIG.signed) and (status == "401" or status == "403") then
    return make_error(handle, status, CONFIG.refused, CONFIG.pooled)
  end
  if status < "400" then return make_error(handle, "502", CONFIG.broken) end
  if status == "400" or status == "413" or status == "422" then
    if not fault and says_too_long(handle) then handle:headers():add("x-headgate-retry", "context_window") end
    if not readable then make_error(handle, status, CONFIG.broken, true) end
    return
  end
  -- 501 is what the engine can't do at all; anything else is an exception's text. Its log has that.
  if CONFIG.failed and status >= "500" and status ~= "501" then return make_error(handle, status, CONFIG.failed) end
  local lacks, is_held = false, false
  if status == "404" and CONFIG.unloaded then lacks, is_held = lacks_adapter(handle) end
  if lacks then
    headers = handle:headers()
    headers:add("x-headgate-retry", "adapter") -- another replica may have loaded it
    headers:add("x-headgate-unloaded", CONFIG.again) -- what clients are told then: envoy/module/metering.c
    return make_error(handle, status, CONFIG.unloaded, true) -- an engine may name everybody's adapters
  end
  if status == "429" then
    local request = handle:streamInfo():dynamicMetadata():get("hg.request")
    headers:add("x-headgate-tried-model", request.upstream_model)
  end
  if not readable then make_error(handle, status, CONFIG.broken, is_held) end
end
