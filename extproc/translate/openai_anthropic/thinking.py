"""How much a model thinks, and how it picks its words: what OpenAI's clients say in `reasoning_effort`, `temperature`
and `top_p`, and others' in `top_k`. All of them depend on the model.
"""

from typing import Any

from extproc.translate.chat_parameters import top_k_of
from extproc.translate.openai_anthropic.models import Abilities
from extproc.translate.openai_anthropic.parts import Block
from extproc.translate.walk import Walk, checked_kind, number_of

# What the model may think at an effort where it wants a number of tokens; 1,024 is the least that Anthropic takes.
_BUDGETS = {"minimal": 1024, "low": 4096, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 31_999}
_LEAST_BUDGET = 1024
_EFFORTS = ("none", *_BUDGETS)


def thinking_of(
    body: dict[str, Any], model: Abilities, limit: int, cannot_think: bool, walk: Walk
) -> tuple[Block, Block]:
    """The members of the request, and those of its `output_config`. `limit`: the request's max_tokens."""
    effort = body.get("reasoning_effort")
    if effort is None:
        return {}, {}
    checked_kind(effort, "reasoning_effort", _EFFORTS)
    if effort == "none" and model.off:
        return {"thinking": {"type": model.off}}, {}
    budget = max(min(_BUDGETS.get(effort, 0), limit // 2), _LEAST_BUDGET)
    if effort == "none" or cannot_think or (not model.adaptive and budget >= limit):
        walk.no_place("reasoning_effort")
        return {}, {}
    if not model.adaptive:
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}, {}
    level = "low" if effort == "minimal" else effort
    return {"thinking": {"type": "adaptive", "display": "summarized"}}, {"effort": level}


def sampling_of(body: dict[str, Any], model: Abilities, thinking: Block, walk: Walk) -> Block:
    """Temperature and top_p, unless they ask for the default of both APIs, which newer models insist on; and top_k,
    which OpenAI's API does not have, and many servers of it do."""
    thinks = thinking.get("thinking", {}).get("type") in ("enabled", "adaptive")
    made: Block = {}
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = body.get(name)
        if value is None or number_of(value, name, 0, most) == 1:
            continue
        # Above 1, Anthropic has no temperature; while thinking, no other than 1 and no top_p below 0.95.
        outside = value > 1 or (thinks and (name == "temperature" or value < 0.95))
        if outside or model.sampling == "none" or (model.sampling == "one" and made):
            walk.no_place(name)
        else:
            made[name] = value
    if (top := top_k_of(body)) is not None:
        if thinks or model.sampling == "none":
            walk.no_place("top_k")
        else:
            made["top_k"] = top
    return made
