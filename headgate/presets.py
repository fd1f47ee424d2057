"""Where servers that speak OpenAI's API differ from it: one row for each `preset` of gateway.yaml. Data only.

A row says what is documented and nothing else; docs/providers.md has the source of each entry. What no source speaks
of is sent as the client wrote it, and the server judges it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, tuple[Any, ...]]

# Parameters, and the values by which a client asks for what happens anyway.
_BEST_OF: Values = {"best_of": (1,)}
_ECHO: Values = {"echo": (False,)}
_LOGIT_BIAS: Values = {"logit_bias": ({},)}
_LOGPROBS: Values = {"logprobs": (False,), "top_logprobs": (0,)}
_N: Values = {"n": (1,)}
_PARALLEL: Values = {"parallel_tool_calls": (True,)}
_SEED: Values = {"seed": ()}
_STORE: Values = {"store": (False,)}
_SUFFIX: Values = {"suffix": ("",)}

_ONE_LIMIT = {"max_completion_tokens": "max_tokens"}


@dataclass(frozen=True, slots=True)
class Preset:
    """One server. `usage` is as in gateway.yaml, where neither that nor `base_url` is given.

    `refused`: parameters without a place there, with the values that ask for nothing. `only`: parameters of which it
    takes these values alone. `left_out`: parameters without a place there that no answer depends on. `renamed`: what
    it calls by another name. `refused_of_messages` and `left_out_of_messages` are members of messages likewise, those
    of tools apart. `passes`: the surfaces beside chat, completions and embeddings that its documentation has, in
    OpenAI's form, by name. Without `developer`, messages of that role are the system's. `responses`:
    whether it has OpenAI's Responses API, of which nothing is changed here; `keeps_responses`: whether one can be
    asked for again.
    """

    base_url: str | None = None
    usage: str = "final"
    refused: Values = field(default_factory=dict)
    only: Values = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    passes: frozenset[str] = frozenset()
    refused_of_messages: tuple[str, ...] = ()
    left_out_of_messages: tuple[str, ...] = ()
    developer: bool = True
    responses: bool = False
    keeps_responses: bool = False


_HEARS = frozenset({"transcriptions", "translations"})

PRESETS: Mapping[str, Preset] = {
    "vllm": Preset(
        usage="continuous", refused=_SUFFIX | _STORE, passes=_HEARS | {"rerank"}, responses=True, keeps_responses=True
    ),
    "ollama": Preset(
        refused=_N | _LOGIT_BIAS | _BEST_OF | _ECHO | _PARALLEL | _STORE,
        renamed=_ONE_LIMIT,
        passes=frozenset({"images", "image_edits", "speech", "transcriptions"}),
        responses=True,
    ),
    "tgi": Preset(refused=_N | _LOGIT_BIAS | _STORE, renamed=_ONE_LIMIT),
    "mistral": Preset(
        base_url="https://api.mistral.ai/v1",
        usage="unasked",
        refused=_LOGIT_BIAS | _STORE,
        left_out=("user",),
        renamed=_ONE_LIMIT | {"seed": "random_seed"},
        passes=frozenset({"transcriptions", "moderations"}),
        refused_of_messages=("name",),
        left_out_of_messages=("reasoning_content",),
        developer=False,
    ),
    "groq": Preset(
        base_url="https://api.groq.com/openai/v1",
        refused=_LOGPROBS | _LOGIT_BIAS | _STORE,
        only=_N,
        passes=_HEARS | {"speech"},
        refused_of_messages=("name",),
        responses=True,
    ),
    "together": Preset(
        base_url="https://api.together.ai/v1",
        refused=_STORE,
        renamed=_ONE_LIMIT,
        passes=_HEARS | {"images", "rerank", "speech"},
    ),
    "deepseek": Preset(
        base_url="https://api.deepseek.com",
        refused=_N | _LOGIT_BIAS | _SEED | _STORE,
        only={"response_format": ({"type": "text"}, {"type": "json_object"})},
        renamed=_ONE_LIMIT,
        developer=False,
    ),
    "openrouter": Preset(
        base_url="https://openrouter.ai/api/v1",
        usage="unasked",
        refused=_STORE,
        passes=frozenset({"rerank", "speech"}),
        responses=True,
    ),
}


# Of APIs that their maker alone serves.
_ROOTS = {"cohere": "https://api.cohere.com"}


def keeps_responses(preset: str | None) -> bool:
    """Whether a server that speaks the Responses API keeps them: OpenAI's and Azure's do."""
    return preset is None or PRESETS[preset].keeps_responses


def defaults_of(name: Any, api: Any = "openai") -> dict[str, str]:
    """What a provider's entry has by its preset or its API, where it does not say otherwise."""
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        return {"base_url": _ROOTS[api]} if isinstance(api, str) and api in _ROOTS else {}
    return {"usage": preset.usage} | ({"base_url": preset.base_url} if preset.base_url else {})
