"""What envoy/attempt.lua is told of the provider whose cluster it runs in: its `CONFIG`, as Lua. Pure."""

from headgate.config.model import Provider
from headgate.contract import ADAPTER_AGAIN_S, ADAPTER_NOT_LOADED, SECRETS
from headgate.edge.secrets import credential_header
from headgate.error_shapes import VERSION_HEADER, Problem, rendered
from headgate.key_files import key_file

# Request headers that may leave the gateway; `forward_headers` of a provider adds to them.
FORWARDED_HEADERS = (
    ":method",
    ":path",
    ":authority",
    ":scheme",
    "accept",
    "content-length",
    "content-type",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "x-request-id",
)

# Those that belong to a provider's API.
API_HEADERS = {
    "openai": ("openai-beta",),
    "anthropic": ("anthropic-beta", "anthropic-version"),
    "gemini": (),
    "bedrock": (),
    "cohere": (),
}

# Headers that an API takes in another meaning than a client of another API gives them.
_NOT_ITS = {"bedrock": ("accept",)}

API_VERSION = "2023-06-01"  # where the client names none

# What streams are, and what an error of Bedrock's is that says in a header what its status does not: as the status
# that makes Envoy's router move on, or not.
_STREAMS = {"bedrock": "application/vnd.amazon.eventstream"}
_STATUSES = {
    "ExpiredTokenException": 403,
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "ModelErrorException": 502,
    "ModelTimeoutException": 504,
    "ServiceQuotaExceededException": 429,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
}

# In the place of an answer that is none of its API: a page of a proxy between, a redirect, something compressed.
_BROKEN = Problem(
    502,
    "The model's provider answered with something that is not its API.",
    "server_error",
    code="provider_malformed_answer",
)

# In the place of what a provider says of the key that it got.
_REFUSED = Problem(
    401,
    "The model's provider refused the gateway's credential.",
    "authentication_error",
    code="provider_refused_credential",
)

# In the place of what an engine says when it fails: exceptions of its own code, with whatever stands in them.
_FAILED = Problem(
    500, "The model's engine failed while it worked on the request.", "server_error", code="engine_failed"
)


# In the place of what an engine says of an adapter that it has not loaded.
_UNLOADED = Problem(
    503,
    f"The adapter is not loaded by its engine. Retry in {ADAPTER_AGAIN_S} s.",
    "server_error",
    code=ADAPTER_NOT_LOADED,
)


def attempt_config(cluster: str, provider: Provider, key: str | None, *, counted: bool) -> str:
    """The `CONFIG` table. The key itself stays in its file. `counted`: answers say what is left of limits."""
    url = provider.urls[0]
    default_port = {"http": 80, "https": 443}[url.scheme]
    host = url.authority.removesuffix(f":{default_port}")
    forwarded = [name for name in FORWARDED_HEADERS if name not in _NOT_ITS.get(provider.api, ())]
    keep = [*forwarded, *API_HEADERS[provider.family], *provider.forward_headers]
    said = {
        "path": _lua_string(_path(provider)),
        "deployed": "true" if provider.api_version else "false",
        "query": _lua_string(f"?api-version={provider.api_version}" if provider.api_version else ""),
        "host": _lua_string(host),
        "version": _version_config(provider),
        "broken": _lua_string(_rendered(provider, _BROKEN)),
        "refused": _lua_string(_rendered(provider, _REFUSED)),
        "failed": _lua_string(_rendered(provider, _FAILED)) if provider.is_engine else "nil",
        "unloaded": _lua_string(_rendered(provider, _UNLOADED)) if provider.is_engine else "nil",
        "again": _lua_string(str(ADAPTER_AGAIN_S)),
        "keep": "{{ {} }}".format(", ".join(f"[{_lua_string(header)}] = true" for header in keep)),
        "key": _key_config(cluster, provider),
        "pooled": _lua_string(key) if key else "false",
        "signed": "true" if provider.is_signed else "false",
        "stream": _lua_string(_STREAMS.get(provider.api, "text/event-stream")),
        "statuses": _statuses_config(provider),
        "counted": _lua_string(cluster) if counted else "nil",
    }
    return "local CONFIG = {{ {} }}\n".format(", ".join(f"{name} = {value}" for name, value in said.items()))


def _path(provider: Provider) -> str:
    """What stands for the client's /v1; Azure's older paths have the deployment behind it, mostly."""
    root = provider.urls[0].path
    if provider.api == "azure":
        return f"{root}/openai" if provider.api_version else f"{root}/openai/v1"
    if provider.api == "gemini":
        return f"{root}/v1beta"
    if provider.api == "bedrock":
        return root
    if provider.api == "cohere":
        return f"{root}/v2"
    return root if provider.base_url is not None and provider.api == "openai" else f"{root}/v1"


def _rendered(provider: Provider, problem: Problem) -> str:
    """The problem as extproc reads the provider's errors: Gemini's, Bedrock's and Cohere's in OpenAI's shape too."""
    return rendered("anthropic" if provider.api == "anthropic" else "openai", problem, None).decode()


def _version_config(provider: Provider) -> str:
    """Anthropic's API refuses requests that name no version of it."""
    if provider.api != "anthropic":
        return "nil"
    return "{{ header = {}, value = {} }}".format(*map(_lua_string, (VERSION_HEADER, API_VERSION)))


def _statuses_config(provider: Provider) -> str:
    if provider.api != "bedrock":
        return "nil"
    return "{{ {} }}".format(", ".join(f'{name} = "{status}"' for name, status in _STATUSES.items()))


def _key_config(cluster: str, provider: Provider) -> str:
    if provider.api_key is None and provider.token is None:
        return "nil"
    header, prefix = credential_header(provider)
    return "{{ file = {}, header = {}, prefix = {} }}".format(
        *map(_lua_string, (str(SECRETS / key_file(cluster)), header, prefix))
    )


def _lua_string(text: str) -> str:
    """A Lua string literal; everything but plain characters as decimal escapes."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_./:@"
    return '"{}"'.format("".join(chr(b) if chr(b) in plain else f"\\{b:03d}" for b in text.encode()))
