"""The whole request: every parameter of OpenAI's chat completions to its place in Converse, or among those that have
none. A parameter that asks for what happens anyway (`n: 1`, null) needs no place.
"""

import json
import re
from typing import Any

from extproc.translate.chat_notes import Notes
from extproc.translate.direction import Target
from extproc.translate.openai_anthropic.parts import checked_kind
from extproc.translate.openai_anthropic.request import JSON_ONLY, limit_of
from extproc.translate.openai_anthropic.schema import constrained
from extproc.translate.openai_bedrock.conversation import Conversation
from extproc.translate.openai_bedrock.models import Model, model_of
from extproc.translate.openai_bedrock.parts import Block
from extproc.translate.openai_bedrock.thinking import sampling_of, thinking_of
from extproc.translate.openai_bedrock.tools import forces, tools_of
from extproc.translate.openai_gemini.request import most_of
from extproc.translate.walk import list_of, object_of, shown, text_of

# What cannot be asked of Converse, and the values that ask for nothing.
_NO_PLACE: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "n": (1,),
    "prediction": (),
    "presence_penalty": (0,),
    "seed": (),
    "store": (False,),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
# Named where they are given, never a reason to refuse: no answer depends on whose it is or how it is cached.
_LEFT_OUT = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "user")
_CARRIED = frozenset(
    {
        *_LEFT_OUT,
        "function_call",
        "functions",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "service_tier",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)
_TIERS = ("default", "flex", "priority")
_IN_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}", re.ASCII)
_MOST_METADATA = 16


def translated(body: dict[str, Any], target: Target) -> tuple[Block, Notes]:
    """The request for the target, and what of the client's is not in it. Raises BadRequest."""
    notes, model = Notes(), model_of(target.model)
    for name, value in body.items():
        if value is None:
            continue
        if name in _LEFT_OUT:
            notes.leave_out(name)
        elif name not in _CARRIED and value not in _NO_PLACE.get(name, ()):
            notes.no_place(shown(name))
    talk = Conversation(model, notes)
    for number, message in enumerate(list_of(body.get("messages"), "messages")):
        talk.add(message, number)
    talk.close()
    made = tools_of(body, talk, model, notes)
    limit = most_of(body, target)
    cannot_think = forces(made) or (model.claude.thinks_first and talk.calls_without_thought)
    more, effort = thinking_of(body, model, limit, cannot_think, notes)
    made |= {"additionalModelRequestFields": more} if more else {}
    config = {} if limit is None else {"maxTokens": limit}
    config |= sampling_of(body, model, more, notes) | _stop(body, model, notes)
    made |= {"inferenceConfig": config} if config else {}
    text_format, instruction = _format(body, notes)
    output = text_format | ({"effort": effort} if effort else {})
    made |= {"outputConfig": output} if output else {}
    system = [*talk.system, *instruction]
    made |= {"system": system} if system else {}
    _look_at_stream_options(body, notes)
    return {"messages": talk.turns} | made | _rest(body, notes), notes


def lowered_limit(body: dict[str, Any], target: Target) -> int | None:
    """The limit of the answer, where it is lower than what the client asked for."""
    limit, asked = most_of(body, target), limit_of(body)
    return limit if limit and asked and limit < asked else None


def _format(body: dict[str, Any], notes: Notes) -> tuple[Block, list[Block]]:
    """The member of `outputConfig`, and what the system prompt has to say."""
    path, wanted = "response_format", body.get("response_format")
    if wanted is None:
        return {}, []
    kind = checked_kind(object_of(wanted, path).get("type"), f"{path}.type", ("text", "json_object", "json_schema"))
    if kind == "text":
        return {}, []
    if kind == "json_object":
        return {}, [{"text": JSON_ONLY}]
    path = f"{path}.json_schema"
    named = object_of(wanted.get("json_schema"), path)
    notes.only(named, ("name", "description", "schema", "strict"), path)
    schema = constrained(object_of(named.get("schema") or {}, f"{path}.schema"))
    if not schema:  # any JSON will do
        return {}, [{"text": JSON_ONLY}]
    said: Block = {"schema": json.dumps(schema, ensure_ascii=False)}
    for name in ("name", "description"):
        if named.get(name) is not None:
            said[name] = text_of(named[name], f"{path}.{name}")
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": said}}}, []


def _stop(body: dict[str, Any], model: Model, notes: Notes) -> Block:
    stop = body.get("stop")
    if stop is None:
        return {}
    single = isinstance(stop, str)
    texts = list[str]()
    for number, text in enumerate([stop] if single else list_of(stop, "stop")):
        path = "stop" if single else f"stop[{number}]"
        said = text_of(text, path)
        if said.strip() if model.maker == "claude" else said:  # which wants something else than white space in it
            texts.append(said)
        else:
            notes.no_place(path)
    return {"stopSequences": texts} if texts else {}


def _rest(body: dict[str, Any], notes: Notes) -> Block:
    """At what service, and what the account's log has to know of it."""
    made: Block = {}
    tier = body.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        made["serviceTier"] = {"type": tier}
    elif tier not in (None, "auto"):
        notes.no_place("service_tier")
    metadata = object_of(body.get("metadata") or {}, "metadata")
    if metadata and _fits(metadata):
        made["requestMetadata"] = metadata
    elif metadata:
        notes.no_place("metadata")
    return made


def _fits(metadata: dict[str, Any]) -> bool:
    texts = [*metadata, *metadata.values()]
    return (
        "" not in metadata
        and len(metadata) <= _MOST_METADATA
        and all(isinstance(text, str) and _IN_METADATA.fullmatch(text) for text in texts)
    )


def _look_at_stream_options(body: dict[str, Any], notes: Notes) -> None:
    """Usage is always in the stream that we make."""
    for name, value in object_of(body.get("stream_options") or {}, "stream_options").items():
        if name != "include_usage" and value:
            notes.no_place(f"stream_options.{shown(name)}")
