-- Makes one attempt's request right for the provider that this attempt goes to, whatever the attempt before left.
-- Runs in each provider cluster's upstream filters. `CONFIG` (set in front of this text when the configuration is
-- rendered): `path`, what stands for the client's /v1; `host`; `keep`, the names of the request headers that may
-- leave; `key`, for a provider that takes one: its `file`, the `header` that carries it and the `prefix` before it.
-- Everything else stays here: credentials, cookies, proxies' notes.

local key, looked

-- What the file says, looked at again every second: a renewed key needs no configuration. It stands in memory only,
-- never in what Envoy can dump. While the file cannot be read, the last key goes on.
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
  return key
end

function envoy_on_request(handle)
  local request = handle:streamInfo():dynamicMetadata():get("hg.request")
  local headers = handle:headers()
  local drop = {}
  for name in pairs(headers) do
    if not CONFIG.keep[name] then drop[#drop + 1] = name end
  end
  for _, name in ipairs(drop) do
    headers:remove(name)
  end
  headers:replace(":path", CONFIG.path .. request.endpoint)
  headers:replace(":authority", CONFIG.host)
  if CONFIG.key and provider_key() then
    headers:replace(CONFIG.key.header, CONFIG.key.prefix .. key)
  end
end
