"""How much a model thinks, and how it picks its words. What Converse has no words of its own for goes to
`additionalModelRequestFields`, in those of the model's maker.
"""

from typing import Any

from extproc.translate.openai_anthropic.parts import checked_kind
from extproc.translate.openai_anthropic.request import DEFAULT_MAX_TOKENS
from extproc.translate.openai_anthropic.thinking import sampling_of as claudes_sampling
from extproc.translate.openai_anthropic.thinking import thinking_of as claudes_thinking
from extproc.translate.openai_bedrock.models import Model
from extproc.translate.openai_bedrock.parts import Block
from extproc.translate.walk import Walk, number_of

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_LOWS, _HIGHS = ("minimal", "low"), ("high", "xhigh", "max")


def thinking_of(
    body: dict[str, Any], model: Model, limit: int | None, cannot_think: bool, walk: Walk
) -> tuple[Block, str | None]:
    """The members of `additionalModelRequestFields`, and `outputConfig.effort`. `limit`: the request's maxTokens."""
    effort = body.get("reasoning_effort")
    if effort is None:
        return {}, None
    checked_kind(effort, "reasoning_effort", _EFFORTS)
    if model.maker == "claude":
        made, output = claudes_thinking(body, model.claude, limit or DEFAULT_MAX_TOKENS, cannot_think, walk)
        return made, output.get("effort")
    if model.maker == "openai":
        return {"reasoning": {"effort": "low" if effort == "minimal" else effort}}, None
    level = "low" if effort in _LOWS else "high" if effort in _HIGHS else effort
    if model.maker == "gpt-oss" and effort != "none":
        return {"reasoning_effort": level}, None
    if model.maker == "nova-2":
        return _novas(body, level, walk), None
    if effort != "none" or model.maker == "gpt-oss":
        walk.no_place("reasoning_effort")
    return {}, None


def _novas(body: dict[str, Any], level: str, walk: Walk) -> Block:
    if level == "none":
        return {"reasoningConfig": {"type": "disabled"}}
    names = ("temperature", "top_p", "max_tokens", "max_completion_tokens")
    if level == "high" and any(body.get(name) is not None for name in names):
        walk.no_place("reasoning_effort")  # at `high`, Nova takes none of the others
        return {}
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}}


def sampling_of(body: dict[str, Any], model: Model, thinking: Block, walk: Walk) -> Block:
    """`temperature` and `topP`, whose scales end at 1."""
    if model.maker == "claude":
        found = claudes_sampling(body, model.claude, thinking, walk)
    else:
        found = {}
        for name, most in (("temperature", 2), ("top_p", 1)):
            value = body.get(name)
            if value is None:
                continue
            if number_of(value, name, 0, most) <= 1:
                found[name] = value
            else:
                walk.no_place(name)
    return {{"temperature": "temperature", "top_p": "topP"}[name]: value for name, value in found.items()}
