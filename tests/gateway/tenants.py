"""Who calls and what for: the tenants, keys, providers and models of the tests' gateways."""

from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"

ASK = [{"role": "user", "content": "Why is water wet?"}]
PROVIDER_KEY = f"sk-provider-{token_urlsafe(16)}"
PROVIDER_ENV = {"HEADGATE_TEST_PROVIDER_KEY": PROVIDER_KEY}
UPSTREAM_MODEL = "engine-model"  # what providers call every model of ours

ACME_MODELS = [
    "chat",
    "final",
    "plain",
    "keyed",
    "vendor/chat-1",
    "prefixed",
    "pair",
    "dead",
    "nameless",
    "closing",
    "hasty",
    "restless",
    "brief",
]


def _key() -> str:
    return f"hg-{token_urlsafe(32)}"


@dataclass(frozen=True)
class Keys:
    """Virtual keys by what is special about them; `acme` and `globex` are two tenants' ordinary ones."""

    acme: str
    globex: str
    resident: str  # its prompts may go to the zone `internal` only
    disabled: str
    expired: str
    of_disabled_tenant: str
    unknown: str

    @property
    def unusable(self) -> list[str]:
        return [self.disabled, self.expired, self.of_disabled_tenant, self.unknown]


def new_keys() -> Keys:
    return Keys(**{name: _key() for name in Keys.__dataclass_fields__})


def chat(model: str = "chat", *, stream: bool = False, simulate: dict[str, Any] | None = None, **more: Any) -> Any:
    """A chat body; `simulate` is what the engine should do."""
    body = {"model": model, "messages": ASK, "stream": stream, **more}
    return body | ({} if simulate is None else {"simulate": simulate})


def configuration(keys: Keys, engine: str, other: str, dead: str, closing: str) -> dict[str, Any]:
    """gateway.yaml. `engine` and `other` are simulators, `other` is somebody else's; the rest fails."""
    internal = {"api": "openai", "zone": "internal"}
    providers = {
        "local": {
            **internal,
            "endpoints": [f"http://{engine}"],
            "usage": "continuous",
            "forward_headers": ["x-session-hint"],
        },
        "final": {**internal, "endpoints": [f"http://{engine}"], "usage": "final"},
        "plain": {**internal, "endpoints": [f"http://{engine}"], "usage": "none"},
        "pair": {**internal, "endpoints": [f"http://{engine}", f"http://{other}"]},
        "keyed": {"api": "openai", "base_url": f"http://{other}/v1", "api_key": "env:HEADGATE_TEST_PROVIDER_KEY"},
        "prefixed": {"api": "openai", "base_url": f"http://{other}/proxy/openai/v7"},
        "dead": {"api": "openai", "base_url": f"http://{dead}/v1"},
        # `.invalid` never resolves (RFC 6761).
        "nameless": {"api": "openai", "base_url": "http://provider.invalid/v1"},
        "closing": {"api": "openai", "base_url": f"http://{closing}/v1"},
    }
    models: dict[str, Any] = {name: _model(name) for name in ("final", "plain", "keyed", "prefixed", "pair", "dead")}
    models |= {
        "chat": _model("local"),
        "vendor/chat-1": _model("local"),
        "nameless": _model("nameless"),
        "closing": _model("closing"),
        "hasty": _model("local", headers="1s"),
        "restless": _model("local", idle="1s"),
        "brief": _model("local", total="1s"),
    }
    tenants = {
        "acme": {
            "models": [*ACME_MODELS],
            "keys": [
                _line("ci", keys.acme),
                {**_line("disabled", keys.disabled), "disabled": True},
                {**_line("expired", keys.expired), "expires": "2020-01-31"},
            ],
        },
        "globex": {"models": ["final", "keyed"], "keys": [_line("laptop", keys.globex)]},
        "resident": {"models": ["chat"], "zones": ["internal"], "keys": [_line("only", keys.resident)]},
        "closed": {"models": ["chat"], "disabled": True, "keys": [_line("old", keys.of_disabled_tenant)]},
    }
    return {"providers": providers, "models": models, "tenants": tenants}


def _model(provider: str, **timeouts: str) -> dict[str, Any]:
    return {"targets": [{"provider": provider, "model": UPSTREAM_MODEL}], "timeouts": timeouts}


def _line(name: str, key: str) -> dict[str, Any]:
    return {"name": name, "sha256": sha256(key.encode()).hexdigest()}
