"""The whole request: every parameter of OpenAI's chat completions to its place in Cohere's chat, or among those that
have none. A parameter that asks for what happens anyway (`n: 1`, null) needs no place.
"""

from typing import Any

from extproc.translate.chat_notes import Notes
from extproc.translate.chat_parameters import (
    CARRIED,
    WITHOUT_EFFECT,
    format_of,
    look_at,
    look_at_stream_options,
    most_of,
    stops_of,
    top_k_of,
)
from extproc.translate.direction import Target
from extproc.translate.openai_cohere.messages import Conversation
from extproc.translate.openai_cohere.models import Abilities, abilities_of
from extproc.translate.openai_cohere.parts import Part
from extproc.translate.openai_cohere.schema import can_be_held_to, constrained
from extproc.translate.openai_cohere.tools import tools_of
from extproc.translate.walk import checked_kind, count_of, list_of, number_of

# What cannot be asked of Cohere, and the values that ask for nothing.
_NO_PLACE: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "logit_bias": ({},),
    "metadata": ({},),
    "modalities": (["text"],),
    "moderation": (),
    "n": (1,),
    "prediction": (),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
_CARRIED = CARRIED | {"frequency_penalty", "logprobs", "presence_penalty", "seed"}
_LEAST_P, _MOST_P = 0.01, 0.99
_MOST_K = 500
_MOST_STOPS = 5
_MOST_SEED = 2**63 - 1
# Cohere recommends no budget; what is less than `high` has one. The least leaves something to think with.
_BUDGETS = {"minimal": 1024, "low": 4096, "medium": 8192}
_EFFORTS = ("none", *_BUDGETS, "high", "xhigh", "max")
_LEAST_BUDGET = 512


def translated(body: dict[str, Any], target: Target) -> tuple[Part, Notes]:
    """The request for the target, and what of the client's is not in it. Raises BadRequest."""
    notes, model = Notes(), abilities_of(target.model)
    look_at(body, notes, carried=_CARRIED, left_out=WITHOUT_EFFECT, no_place=_NO_PLACE)
    if body.get("n") is not None:
        count_of(body["n"], "n")
    talk = Conversation(model, notes)
    for number, message in enumerate(list_of(body.get("messages"), "messages")):
        talk.add(message, number)
    tools = tools_of(body, model, notes)
    limit = most_of(body, target)
    made: Part = {"model": target.model, "messages": talk.whole(), **tools}
    made |= {} if limit is None else {"max_tokens": limit}
    made |= _sampling(body, notes) | _penalty(body, notes)
    if stops := stops_of(body, notes, most=_MOST_STOPS):
        made["stop_sequences"] = stops
    made |= _format(body, notes, has_tools=bool(tools)) | _thinking(body, model, limit, notes)
    look_at_stream_options(body, notes)
    return made | ({"stream": True} if body.get("stream") else {}), notes


def _sampling(body: dict[str, Any], notes: Notes) -> Part:
    made: Part = {}
    if (heat := body.get("temperature")) is not None:
        if number_of(heat, "temperature", 0, 2) <= 1:
            made["temperature"] = heat
        else:
            notes.no_place("temperature")
    if (share := body.get("top_p")) is not None:
        made["p"] = min(max(number_of(share, "top_p", 0, 1), _LEAST_P), _MOST_P)
    if (top := top_k_of(body)) is not None:
        if top <= _MOST_K:
            made["k"] = top
        else:
            notes.no_place("top_k")
    if (seed := body.get("seed")) is not None:
        if number_of(seed, "seed", -(2**63), _MOST_SEED) >= 0 and isinstance(seed, int):
            made["seed"] = seed
        else:
            notes.no_place("seed")
    return made | ({"logprobs": True} if body.get("logprobs") else {})


def _penalty(body: dict[str, Any], notes: Notes) -> Part:
    """One of the two, which Cohere takes at most."""
    made: Part = {}
    for name in ("frequency_penalty", "presence_penalty"):
        if (value := body.get(name)) is None or number_of(value, name, -2, 2) == 0:
            continue
        if 0 < value <= 1 and not made:
            made[name] = value
        else:
            notes.no_place(name)
    return made


def _format(body: dict[str, Any], notes: Notes, *, has_tools: bool) -> Part:
    wanted = format_of(body, notes)
    if wanted is None:
        return {}
    made: Part = {"type": "json_object"}
    schema = wanted.schema
    if schema and not can_be_held_to(schema):
        notes.no_place(f"{wanted.path}.schema")
        return {}
    if schema:
        made["json_schema"] = constrained(schema)
        if wanted.description is not None and not made["json_schema"].get("description"):
            made["json_schema"]["description"] = wanted.description
    if has_tools:
        notes.no_place("response_format")
        return {}
    return {"response_format": made}


def _thinking(body: dict[str, Any], model: Abilities, limit: int | None, notes: Notes) -> Part:
    """At most half of what may be written at all, so that something is left for the answer."""
    effort = body.get("reasoning_effort")
    if effort is None:
        return {}
    checked_kind(effort, "reasoning_effort", _EFFORTS)
    if not model.thinking:
        if effort != "none":
            notes.no_place("reasoning_effort")
        return {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    budget = _BUDGETS.get(effort)
    if budget is not None and limit is not None:
        budget = max(min(budget, limit // 2), _LEAST_BUDGET)
    return {"thinking": {"type": "enabled"} | ({"token_budget": budget} if budget else {})}
