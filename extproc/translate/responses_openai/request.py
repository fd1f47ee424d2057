"""The whole request: every parameter of the Responses API to its place in a chat completion, or among those that have
none. A parameter that asks for what happens anyway (`store: false`, null) needs no place.
"""

from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.chat import Chat
from extproc.translate.direction import Target
from extproc.translate.responses_openai.content import Json
from extproc.translate.responses_openai.echo import echo_of
from extproc.translate.responses_openai.items import Conversation
from extproc.translate.responses_openai.notes import Notes
from extproc.translate.responses_openai.tools import tools_of
from extproc.translate.walk import checked_kind, count_of, list_of, named, object_of, shown, text_of

# What a chat completion has no place for, and the values that ask for nothing.
_NO_PLACE: dict[str, tuple[Any, ...]] = {
    "background": (False,),
    "context_management": (),
    "conversation": (),
    "max_tool_calls": (),
    "moderation": (),
    "previous_response_id": (),
    "prompt": (),
    "store": (False,),
    "truncation": ("disabled",),
}
# They have their names in chat too, and the answer repeats some of them.
_SAME = (
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "temperature",
    "top_p",
    "user",
)
_CARRIED = frozenset(
    {
        *_SAME,
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",  # the answer repeats it, which is all that it does; chat takes it for stored completions alone
        "model",
        "parallel_tool_calls",
        "prompt_cache_options",
        "reasoning",
        "service_tier",
        "stream",
        "stream_options",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
    }
)
_SAID_AS = {
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "response_format.json_schema": "text.format",
    "verbosity": "text.verbosity",
}
_INSTEAD_OF_INPUT = ("conversation", "previous_response_id", "prompt")
_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
_LOGPROBS = "message.output_text.logprobs"
_INCLUDED = (_LOGPROBS, "reasoning.encrypted_content")  # the latter is given wherever there is any
_FORMATS = ("text", "json_object", "json_schema")


def translated(body: Json, target: Target, *, extended: bool) -> Chat:
    """The chat completion for the target. `extended`: for a further direction. Raises BadRequest."""
    notes = Notes()
    notes.origins |= _SAID_AS
    for name, value in body.items():
        if value is not None and name not in _CARRIED and value not in _NO_PLACE.get(name, ()):
            notes.no_place(shown(name))
    made: Json = {"model": target.model, "messages": _messages(body, notes, extended=extended)}
    if (asked := limit_of(body)) is not None:
        made["max_completion_tokens"] = min(asked, target.max_output_tokens or asked)
    made |= {name: body[name] for name in _SAME if body.get(name) is not None}
    tools = tools_of(body, notes)
    made |= tools.made | _text(body, notes) | _reasoning(body, notes) | _logprobs(body, notes) | _service(body, notes)
    if body.get("stream"):
        made |= _streamed(target)
    for name, value in object_of(body.get("metadata") or {}, "metadata").items():
        text_of(value, f"metadata.{shown(name)}")
    return Chat(made, notes.unsupported, notes.left_out, notes.origins, echo_of(body, tools))


def limit_of(body: Json) -> int | None:
    """How long the client wants the answer at most."""
    asked = body.get("max_output_tokens")
    return None if asked is None else count_of(asked, "max_output_tokens")


def _messages(body: Json, notes: Notes, *, extended: bool) -> list[Json]:
    talk = Conversation(notes, extended=extended)
    if body.get("instructions") is not None:
        talk.instruct(text_of(body["instructions"], "instructions"))
    asked = body.get("input")
    if isinstance(asked, str):
        talk.ask(asked)
    elif asked is not None:
        for number, item in enumerate(list_of(asked, "input")):
            talk.add(item, number)
    elif all(body.get(name) is None for name in _INSTEAD_OF_INPUT):
        raise BadRequest("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    return talk.messages()


def _text(body: Json, notes: Notes) -> Json:
    """The form of the answer."""
    if body.get("text") is None:
        return {}
    text = object_of(body["text"], "text")
    notes.only(text, ("format", "verbosity"), "text")
    made: Json = {}
    if text.get("verbosity") is not None:
        made["verbosity"] = text_of(text["verbosity"], "text.verbosity")
    if text.get("format") is None:
        return made
    path = "text.format"
    form = object_of(text["format"], path)
    kind = checked_kind(form.get("type"), f"{path}.type", _FORMATS)
    if kind == "json_object":
        made["response_format"] = {"type": kind}
    elif kind == "json_schema":
        notes.only(form, ("type", "name", "description", "schema", "strict"), path)
        schema: Json = {"name": named(form.get("name"), f"{path}.name")}
        if form.get("description") is not None:
            schema["description"] = text_of(form["description"], f"{path}.description")
        schema["schema"] = object_of(form.get("schema"), f"{path}.schema")
        schema |= {"strict": form["strict"]} if form.get("strict") is not None else {}
        made["response_format"] = {"type": kind, "json_schema": schema}
    return made


def _reasoning(body: Json, notes: Notes) -> Json:
    reasoning = object_of(body.get("reasoning") or {}, "reasoning")
    for name in ("summary", "generate_summary"):
        if reasoning.get(name) is not None:
            notes.leave_out(f"reasoning.{name}")  # what is told of the reasoning, not how it is done
    neutral = {"context": "auto", "mode": "standard"}
    asked = {name: value for name, value in reasoning.items() if value != neutral.get(name)}
    notes.only(asked, ("effort", "summary", "generate_summary"), "reasoning")
    if reasoning.get("effort") is None:
        return {}
    return {"reasoning_effort": text_of(reasoning["effort"], "reasoning.effort")}


def _logprobs(body: Json, notes: Notes) -> Json:
    """Log probabilities, and what else the answer is to include."""
    place = None
    for number, name in enumerate(list_of(body.get("include") or [], "include")):
        if text_of(name, f"include[{number}]") not in _INCLUDED:
            notes.no_place(f"include[{number}]")
        elif name == _LOGPROBS:
            place = f"include[{number}]"
    top = body.get("top_logprobs")
    if place is None and not top:
        return {}
    notes.origins["logprobs"] = place or "top_logprobs"
    return {"logprobs": True, **({"top_logprobs": top} if top else {})}


def _service(body: Json, notes: Notes) -> Json:
    """How it is cached and at what service."""
    made: Json = {}
    if (tier := body.get("service_tier")) in _TIERS:
        made["service_tier"] = tier
    elif tier is not None:
        notes.no_place("service_tier")
    if body.get("prompt_cache_options") is not None:
        options = object_of(body["prompt_cache_options"], "prompt_cache_options")
        notes.only(options, ("mode", "ttl"), "prompt_cache_options")
        if kept := {name: options[name] for name in ("mode", "ttl") if options.get(name) is not None}:
            made["prompt_cache_options"] = kept
    for name, value in object_of(body.get("stream_options") or {}, "stream_options").items():
        if value:
            notes.no_place(f"stream_options.{shown(name)}")
    return made


def _streamed(target: Target) -> Json:
    if target.usage in ("none", "unasked"):
        return {"stream": True}
    options = {"include_usage": True}
    if target.usage == "continuous":
        options["continuous_usage_stats"] = True
    return {"stream": True, "stream_options": options}
