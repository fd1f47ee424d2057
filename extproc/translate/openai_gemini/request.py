"""The whole request: every parameter of OpenAI's chat completions to its place in Gemini's generateContent, or among
those that have none. A parameter that asks for what happens anyway (`n: 1`, null) needs no place.
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
from extproc.translate.openai_gemini.contents import Conversation
from extproc.translate.openai_gemini.models import Abilities, abilities_of
from extproc.translate.openai_gemini.parts import Part
from extproc.translate.openai_gemini.schema import constrained
from extproc.translate.openai_gemini.thinking import thinking_of
from extproc.translate.openai_gemini.tools import tools_of
from extproc.translate.walk import count_of, list_of, number_of

# What cannot be asked of Gemini, and the values that ask for nothing.
_NO_PLACE: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "logit_bias": ({},),
    "metadata": ({},),
    "modalities": (["text"],),
    "moderation": (),
    "prediction": (),
    "store": (False,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
_CARRIED = CARRIED | {
    "frequency_penalty",
    "logprobs",
    "n",
    "presence_penalty",
    "seed",
    "service_tier",
    "top_logprobs",
}
_TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}
_MOST_ANSWERS = 8
_MOST_STOPS = 5
_MOST_LOGPROBS = 20
_INT32 = 2**31


def translated(body: dict[str, Any], target: Target) -> tuple[Part, Notes]:
    """The request for the target, and what of the client's is not in it. Raises BadRequest."""
    notes, model = Notes(), abilities_of(target.model)
    look_at(body, notes, carried=_CARRIED, left_out=WITHOUT_EFFECT, no_place=_NO_PLACE)
    talk = Conversation(model, notes)
    for number, message in enumerate(list_of(body.get("messages"), "messages")):
        talk.add(message, number)
    talk.close()
    made: Part = {"systemInstruction": {"parts": talk.system}} if talk.system else {}
    tools = tools_of(body, model, notes)
    made |= {"contents": talk.contents, **tools}
    config = _config(body, target, model, notes, has_tools=bool(tools))
    made |= {"generationConfig": config} if config else {}
    look_at_stream_options(body, notes)
    return made | _tier(body, notes), notes


def _config(body: dict[str, Any], target: Target, model: Abilities, notes: Notes, *, has_tools: bool) -> Part:
    limit = most_of(body, target)
    made: Part = {} if limit is None else {"maxOutputTokens": limit}
    for name, member, most in (("temperature", "temperature", 2), ("top_p", "topP", 1)):
        if body.get(name) is not None:
            made[member] = number_of(body[name], name, 0, most)
    if (top := top_k_of(body)) is not None:
        made["topK"] = top
    if stops := stops_of(body, notes, most=_MOST_STOPS):
        made["stopSequences"] = stops
    made |= _chances(body, model, notes) | _format(body, model, notes, has_tools=has_tools)
    return made | thinking_of(body, model, limit, notes)


def _chances(body: dict[str, Any], model: Abilities, notes: Notes) -> Part:
    """How many answers, drawn how, and how likely each token was."""
    made: Part = {}
    if (number := body.get("n")) is not None and count_of(number, "n") > 1:
        if number <= _MOST_ANSWERS:
            made["candidateCount"] = number
        else:
            notes.no_place("n")
    if (seed := body.get("seed")) is not None:
        if -_INT32 <= number_of(seed, "seed", -(2**63), 2**63 - 1) < _INT32 and isinstance(seed, int):
            made["seed"] = seed
        else:
            notes.no_place("seed")
    for name, member in (("frequency_penalty", "frequencyPenalty"), ("presence_penalty", "presencePenalty")):
        if (value := body.get(name)) is None or number_of(value, name, -2, 2) == 0:
            continue
        if model.scores and value < 2:  # Gemini's end just before that
            made[member] = value
        else:
            notes.no_place(name)
    return made | _logprobs(body, model, notes)


def _logprobs(body: dict[str, Any], model: Abilities, notes: Notes) -> Part:
    given = [name for name in ("logprobs", "top_logprobs") if body.get(name)]
    if not model.scores:
        for name in given:
            notes.no_place(name)
        return {}
    if not body.get("logprobs"):
        return {}
    top = body.get("top_logprobs") or 0
    number_of(top, "top_logprobs", 0, _MOST_LOGPROBS)
    return {"responseLogprobs": True, **({"logprobs": count_of(top, "top_logprobs")} if top else {})}


def _format(body: dict[str, Any], model: Abilities, notes: Notes, *, has_tools: bool) -> Part:
    wanted = format_of(body, notes)
    if wanted is None:
        return {}
    if has_tools and not model.json_with_tools:
        notes.no_place("response_format")
        return {}
    made: Part = {"responseMimeType": "application/json"}
    words = constrained(wanted.schema)
    if not words:  # any JSON will do
        return made
    if wanted.description is not None and not words.get("description"):
        words["description"] = wanted.description
    return made | {"responseJsonSchema": words}


def _tier(body: dict[str, Any], notes: Notes) -> Part:
    tier = body.get("service_tier")
    if tier in (None, "auto"):
        return {}
    if isinstance(tier, str) and tier in _TIERS:
        return {"serviceTier": _TIERS[tier]}
    notes.no_place("service_tier")
    return {}
