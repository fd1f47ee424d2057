"""Runs envoy/attempt.lua as rendered for a provider, by LuaJIT as in Envoy: one request through all its attempts."""

from typing import Any

from lupa.luajit21 import LuaRuntime
from rendering import clusters_of, rendered

PROVIDER = "providers: {{p: {{api: {api}, {rest}}}}}\nmodels: {{m: {{targets: [{{provider: p, model: m}}]}}}}\n"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# As docs.envoyproxy.io describes the Lua filter's stream handle; a header that comes twice is one text with commas.
_HANDLE = """
local Headers = {}
function Headers:get(name) return rawget(self, name) end
function Headers:replace(name, value) assert(type(value) == "string", name) rawset(self, name, value) end
function Headers:add(name, value)
  assert(type(value) == "string", name)
  local old = rawget(self, name)
  rawset(self, name, old and (old .. "," .. value) or value)
end
function Headers:remove(name) rawset(self, name, nil) end
return function(run, headers, metadata, text)
  setmetatable(headers, { __index = Headers })
  local values = {}
  function values:get(namespace) return metadata[namespace] end
  function values:set(namespace, key, value)
    metadata[namespace] = metadata[namespace] or {}
    metadata[namespace][key] = value
  end
  local info = { dynamicMetadata = function() return values end }
  local body = { length = function() return #text end, setBytes = function(_, new) text = new end }
  function body:getBytes(start, size)
    assert(start + size <= #text)
    return text:sub(start + 1, start + size)
  end
  local handle = {}
  function handle:headers() return headers end
  function handle:streamInfo() return info end
  local is_held = false
  function handle:body(always)
    is_held = true
    return (text ~= "" or always) and body or nil
  end
  function handle:trailers() return nil end
  function handle:logWarn() end
  function handle:respond(head) rawset(headers, ":answered", head[":status"]) end
  function handle:bodyChunks()
    assert(not is_held, "Envoy has no chunks of a body that was asked for as a whole")
    local left = text ~= ""
    return function()
      if left then left = false return body end
    end
  end
  run(handle)
  return text
end
"""


def cluster(rest: str, api: str = "openai", **files: str) -> dict[str, Any]:
    """The rendered cluster of a provider that is written so in gateway.yaml."""
    found: dict[str, Any] = clusters_of(rendered(PROVIDER.format(api=api, rest=rest), **files))["provider/p"]
    return found


def attempt_filters(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A cluster's upstream filters by name, in their order."""
    filters = found["typed_extension_protocol_options"][HTTP_OPTIONS]["http_filters"]
    return {entry["name"]: entry["typed_config"] for entry in filters}


class Script:
    """The script of one provider's cluster. `files` replaces paths in its text, `now` is its clock."""

    def __init__(self, found: dict[str, Any], **files: str) -> None:
        source: str = attempt_filters(found)["headgate.attempt"]["default_source_code"]["inline_string"]
        for name, path in files.items():
            assert name in source
            source = source.replace(name, path)
        self._lua = LuaRuntime(encoding="latin-1")
        self.now(0)
        self._lua.execute("os.time = function() return now end")
        self.config = self._lua.execute(source + "\nreturn CONFIG")
        self._call = self._lua.execute(_HANDLE)

    def now(self, seconds: int) -> None:
        """Sets the clock."""
        self._lua.globals().now = seconds

    def run(self, function: str, headers: dict[str, str], metadata: dict[str, Any], text: str = "") -> str:
        """Calls a function of the script; changes headers and metadata in place, returns the body."""
        given = self._lua.table_from(headers)
        known = self._lua.table_from(metadata, recursive=True)
        body: str = self._call(self._lua.globals()[function], given, known, text)
        headers.clear()
        headers |= dict(given.items())
        for namespace, values in known.items():
            metadata.setdefault(namespace, {}).update(
                {key: value for key, value in values.items() if isinstance(value, str)}
            )
        return body


class Request:
    """One request inside Envoy. What filters do to its headers and metadata stays from attempt to attempt."""

    def __init__(self, headers: dict[str, str], plan: dict[str, Any]) -> None:
        self.metadata: dict[str, Any] = {"hg.request": dict(plan)}
        self._headers = {":method": "POST", ":path": "/v1/x", ":authority": "gateway", ":scheme": "http"} | headers
        self._number = 0

    def attempt(self, script: Script, **translated: str) -> dict[str, str]:
        """The headers that leave the gateway, or `:answered`; `translated` are those that ext_proc sets for it."""
        self._number += 1
        self._headers["x-envoy-attempt-count"] = str(self._number)
        self._headers |= {name.replace("_", "-"): value for name, value in translated.items()}
        script.run("envoy_on_request", self._headers, self.metadata)
        return dict(self._headers)

    def answered(self, script: Script, status: int, body: str = "{}", **headers: str) -> tuple[dict[str, str], str]:
        """What becomes of the attempt's answer: its headers and its body."""
        given = {":status": str(status), "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = script.run("envoy_on_response", given, self.metadata, body)
        return given, body
