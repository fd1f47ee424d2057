"""What the filter `attempt` (envoy/module) is told of the provider in whose cluster it runs. Pure."""

from collections.abc import Iterator

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
    """A line for each thing: its name, a space, what it is (envoy/module/attempt_settings.h). The key itself stays in
    its file. `counted`: answers say what is left of limits.

    Raises ValueError: something has several lines.
    """
    said = list(_lines(cluster, provider, key, counted=counted))
    if any("\n" in value for _, value in said):
        raise ValueError(f"{cluster}: what the filter is told has a line end")
    return "".join(f"{name} {value}\n" for name, value in said)


def _lines(cluster: str, provider: Provider, key: str | None, *, counted: bool) -> Iterator[tuple[str, str]]:
    url = provider.urls[0]
    default_port = {"http": 80, "https": 443}[url.scheme]
    yield "host", url.authority.removesuffix(f":{default_port}")
    yield "path", _path(provider)
    if provider.api_version:
        yield "deployed", "1"
        yield "query", f"?api-version={provider.api_version}"
    yield from _request_headers(cluster, provider)
    yield "stream", _STREAMS.get(provider.api, "text/event-stream")
    yield "broken", _rendered(provider, _BROKEN)
    yield "refused", _rendered(provider, _REFUSED)
    if provider.is_engine:
        yield "failed", _rendered(provider, _FAILED)
        yield "unloaded", _rendered(provider, _UNLOADED)
        yield "again", str(ADAPTER_AGAIN_S)
    if provider.api == "bedrock":
        yield from (("status", f"{status} {name}") for name, status in _STATUSES.items())
    if key:
        yield "pooled", key
    if provider.is_signed:
        yield "signed", "1"
    if counted:
        yield "counted", cluster


def _request_headers(cluster: str, provider: Provider) -> Iterator[tuple[str, str]]:
    """Those that may leave, and those that the provider gets in any case."""
    forwarded = [name for name in FORWARDED_HEADERS if name not in _NOT_ITS.get(provider.api, ())]
    for name in (*forwarded, *API_HEADERS[provider.family], *provider.forward_headers):
        yield "keep", name
    if provider.api == "anthropic":  # whose API refuses requests that name no version of it
        yield "version_header", VERSION_HEADER
        yield "version", API_VERSION
    if provider.api_key is not None or provider.token is not None:
        header, prefix = credential_header(provider)
        yield "key_file", str(SECRETS / key_file(cluster))
        yield "key_header", header
        yield "key_prefix", prefix


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
