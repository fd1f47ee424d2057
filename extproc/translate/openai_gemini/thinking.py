"""How much a model thinks: OpenAI's `reasoning_effort` as Gemini's level or, before Gemini 3, a number of tokens."""

from typing import Any

from extproc.translate.openai_gemini.models import Abilities
from extproc.translate.walk import Walk, checked_kind

# Those of Google's own endpoint for OpenAI's clients; beyond `high` as much as the model can.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 32_768}
_EFFORTS = ("none", *_BUDGETS)
_LEAST_BUDGET = 512  # what every model of that generation takes


def thinking_of(body: dict[str, Any], model: Abilities, limit: int | None, walk: Walk) -> dict[str, Any]:
    """The member `thinkingConfig`. `limit`: the request's maxOutputTokens, which thinking counts towards."""
    effort = body.get("reasoning_effort")
    if effort is None:
        return {}
    checked_kind(effort, "reasoning_effort", _EFFORTS)
    if effort == "none":
        return _without(model, walk)
    if model.thinking == "never":
        walk.no_place("reasoning_effort")
        return {}
    said = (
        {"thinkingLevel": _level(effort, model)}
        if model.thinking == "level"
        else {"thinkingBudget": _budget(effort, model, limit)}
    )
    return {"thinkingConfig": {"includeThoughts": True, **said}}


def _without(model: Abilities, walk: Walk) -> dict[str, Any]:
    if model.thinking == "budget" and model.budgets[0] == 0:
        return {"thinkingConfig": {"thinkingBudget": 0}}
    if model.thinking != "never":  # it always thinks
        walk.no_place("reasoning_effort")
    return {}


def _level(effort: str, model: Abilities) -> str:
    if effort == "minimal":
        return model.least_level
    return {"low": "LOW", "medium": model.medium}.get(effort, "HIGH")


def _budget(effort: str, model: Abilities, limit: int | None) -> int:
    """At most half of what may be written at all, so that something is left for the answer."""
    budget = min(_BUDGETS[effort], model.budgets[1])
    return budget if limit is None else max(min(budget, limit // 2), _LEAST_BUDGET)
