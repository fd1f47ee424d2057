-- Makes one attempt's request right for the provider that this attempt goes to, whatever the attempt before left.
-- Runs in each provider cluster's upstream filters, ahead of the credential injector. `CONFIG` (set in front of
-- this text when the configuration is rendered): `path`, what stands for the client's /v1; `host`; `keep`, the
-- names of the request headers that may leave. Everything else stays here: credentials, cookies, proxies' notes.

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
end
