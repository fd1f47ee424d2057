"""The whole request: every parameter of OpenAI's chat completions to its place in Cohere's chat, or among those that
have none. A parameter that asks for what happens anyway (`n: 1`, null) needs no place.
"""

from typing import Any

from extproc.translate.chat_notes import Notes
from extproc.translate.direction import Target
from extproc.translate.openai_anthropic.parts import checked_kind
from extproc.translate.openai_anthropic.request import limit_of
from extproc.translate.openai_cohere.messages import Conversation
from extproc.translate.openai_cohere.models import Abilities, abilities_of
from extproc.translate.openai_cohere.parts import Part
from extproc.translate.openai_cohere.schema import can_be_held_to, constrained
from extproc.translate.openai_cohere.tools import tools_of
from extproc.translate.walk import count_of, list_of, number_of, object_of, shown, text_of

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
# Named where they are given, never a reason to refuse: the answer does not depend on whose it is, and Cohere finds by
# itself what its cache has.
_LEFT_OUT = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "user")
_CARRIED = frozenset(
    {
        *_LEFT_OUT,
        "frequency_penalty",
        "function_call",
        "functions",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)
_LEAST_P, _MOST_P = 0.01, 0.99
_MOST_STOPS = 5
_MOST_SEED = 2**63 - 1
# Cohere recommends no budget; what is less than `high` has one. The least leaves something to think with.
_BUDGETS = {"minimal": 1024, "low": 4096, "medium": 8192}
_EFFORTS = ("none", *_BUDGETS, "high", "xhigh", "max")
_LEAST_BUDGET = 512


def translated(body: dict[str, Any], target: Target) -> tuple[Part, Notes]:
    """The request for the target, and what of the client's is not in it. Raises BadRequest."""
    notes, model = Notes(), abilities_of(target.model)
    for name, value in body.items():
        if value is None:
            continue
        if name in _LEFT_OUT:
            notes.leave_out(name)
        elif name not in _CARRIED and value not in _NO_PLACE.get(name, ()):
            notes.no_place(shown(name))
    if body.get("n") is not None:
        count_of(body["n"], "n")
    talk = Conversation(model, notes)
    for number, message in enumerate(list_of(body.get("messages"), "messages")):
        talk.add(message, number)
    tools = tools_of(body, model, notes)
    limit = most_of(body, target)
    made: Part = {"model": target.model, "messages": talk.whole(), **tools}
    made |= {} if limit is None else {"max_tokens": limit}
    made |= _sampling(body, notes) | _penalty(body, notes) | _stop(body, notes)
    made |= _format(body, notes, has_tools=bool(tools)) | _thinking(body, model, limit, notes)
    _look_at_stream_options(body, notes)
    return made | ({"stream": True} if body.get("stream") else {}), notes


def most_of(body: dict[str, Any], target: Target) -> int | None:
    """How long the answer may get; None: as long as the model can."""
    asked, most = limit_of(body), target.max_output_tokens
    return min(asked, most or asked) if asked else None


def _sampling(body: dict[str, Any], notes: Notes) -> Part:
    made: Part = {}
    if (heat := body.get("temperature")) is not None:
        if number_of(heat, "temperature", 0, 2) <= 1:
            made["temperature"] = heat
        else:
            notes.no_place("temperature")
    if (share := body.get("top_p")) is not None:
        made["p"] = min(max(number_of(share, "top_p", 0, 1), _LEAST_P), _MOST_P)
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


def _stop(body: dict[str, Any], notes: Notes) -> Part:
    stop = body.get("stop")
    if stop is None:
        return {}
    single = isinstance(stop, str)
    texts = list[str]()
    for number, text in enumerate([stop] if single else list_of(stop, "stop")):
        path = "stop" if single else f"stop[{number}]"
        if text_of(text, path) and len(texts) < _MOST_STOPS:
            texts.append(text)
        else:
            notes.no_place(path)
    return {"stop_sequences": texts} if texts else {}


def _format(body: dict[str, Any], notes: Notes, *, has_tools: bool) -> Part:
    path, wanted = "response_format", body.get("response_format")
    if wanted is None:
        return {}
    kind = checked_kind(object_of(wanted, path).get("type"), f"{path}.type", ("text", "json_object", "json_schema"))
    if kind == "text":
        return {}
    made: Part = {"type": "json_object"}
    if kind == "json_schema":
        path = f"{path}.json_schema"
        given = object_of(wanted.get("json_schema"), path)
        notes.only(given, ("name", "description", "schema", "strict"), path)
        schema = object_of(given.get("schema") or {}, f"{path}.schema")
        if schema and not can_be_held_to(schema):
            notes.no_place(f"{path}.schema")
            return {}
        if schema:
            made["json_schema"] = constrained(schema)
            if given.get("description") is not None and not made["json_schema"].get("description"):
                made["json_schema"]["description"] = text_of(given["description"], f"{path}.description")
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


def _look_at_stream_options(body: dict[str, Any], notes: Notes) -> None:
    """Usage is always in the stream that we make."""
    for name, value in object_of(body.get("stream_options") or {}, "stream_options").items():
        if name != "include_usage" and value:
            notes.no_place(f"stream_options.{shown(name)}")
