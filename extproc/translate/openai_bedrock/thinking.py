"""How much a model thinks, and how it picks its words. What Converse has no words of its own for goes to
`additionalModelRequestFields`, in those of the model's maker.
"""

from typing import Any

from extproc.translate.chat_parameters import top_k_of
from extproc.translate.openai_anthropic.request import DEFAULT_MAX_TOKENS
from extproc.translate.openai_anthropic.thinking import sampling_of as claudes_sampling
from extproc.translate.openai_anthropic.thinking import thinking_of as claudes_thinking
from extproc.translate.openai_bedrock.models import Model
from extproc.translate.openai_bedrock.parts import Block
from extproc.translate.walk import Walk, checked_kind, count_of, number_of, object_of

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_LOWS, _HIGHS = ("minimal", "low"), ("high", "xhigh", "max")


def thinking_of(
    body: dict[str, Any], model: Model, limit: int | None, cannot_think: bool, walk: Walk
) -> tuple[Block, str | None]:
    """The members of `additionalModelRequestFields`, and `outputConfig.effort`. `limit`: the request's maxTokens."""
    effort = body.get("reasoning_effort")
    if effort is not None:
        checked_kind(effort, "reasoning_effort", _EFFORTS)
    if body.get("thinking") is not None:
        if (kept := _kept(body, model, limit, cannot_think)) is not None:
            return kept
        if effort is None:
            walk.no_place("thinking")
    return ({}, None) if effort is None else _by_effort(effort, body, model, limit, cannot_think, walk)


def _by_effort(
    effort: str, body: dict[str, Any], model: Model, limit: int | None, cannot_think: bool, walk: Walk
) -> tuple[Block, str | None]:
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


def _kept(
    body: dict[str, Any], model: Model, limit: int | None, cannot_think: bool
) -> tuple[Block, str | None] | None:
    """Anthropic's own `thinking`, where the model takes it as it is; None where the effort has to say it instead."""
    thinking, effort, claude = object_of(body["thinking"], "thinking"), body.get("reasoning_effort"), model.claude
    if not thinking and effort is not None and claude.adaptive and effort != "none":
        return {}, effort  # which by itself turns no thinking on
    if not thinking and effort is None:
        return {}, None
    if not thinking or model.maker != "claude":
        return None
    kind = checked_kind(thinking.get("type"), "thinking.type", ("adaptive", "disabled", "enabled"))
    if kind == "enabled":
        budget = count_of(thinking.get("budget_tokens"), "thinking.budget_tokens")
        fits = not claude.adaptive and budget < (limit or DEFAULT_MAX_TOKENS)
        return ({"thinking": thinking}, None) if fits and not cannot_think else None
    if kind == "disabled":
        return ({"thinking": thinking}, None) if claude.off == "disabled" else None
    if claude.adaptive:
        return None if cannot_think else ({"thinking": thinking}, effort)
    return ({}, None) if effort is None else None  # the model decides, which means that this one does not think


def _novas(body: dict[str, Any], level: str, walk: Walk) -> Block:
    if level == "none":
        return {"reasoningConfig": {"type": "disabled"}}
    names = ("temperature", "top_p", "max_tokens", "max_completion_tokens")
    if level == "high" and any(body.get(name) is not None for name in names):
        walk.no_place("reasoning_effort")  # at `high`, Nova takes none of the others
        return {}
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}}


def sampling_of(body: dict[str, Any], model: Model, thinking: Block, walk: Walk) -> tuple[Block, Block]:
    """`temperature` and `topP`, whose scales end at 1, and what has no other place than
    `additionalModelRequestFields`: how many tokens there are to choose from."""
    more: Block = {}
    if model.maker == "claude":
        found = claudes_sampling(body, model.claude, thinking, walk)
        if (top := found.pop("top_k", None)) is not None:
            more = {"top_k": top}
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
        if (top := top_k_of(body)) is not None:
            if model.maker in ("nova", "nova-2"):
                more = {"inferenceConfig": {"topK": top}}
            else:
                walk.no_place("top_k")
    named = {"temperature": "temperature", "top_p": "topP"}
    return {named[name]: value for name, value in found.items()}, more
