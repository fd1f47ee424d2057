"""The whole request: every parameter of OpenAI's chat completions to its place in Converse, or among those that have
none. A parameter that asks for what happens anyway (`n: 1`, null) needs no place.
"""

import json
import re
from typing import Any

from extproc.translate.chat_notes import Notes
from extproc.translate.chat_parameters import (
    CARRIED,
    JSON_ONLY,
    WITHOUT_EFFECT,
    format_of,
    look_at,
    look_at_stream_options,
    most_of,
    stops_of,
)
from extproc.translate.direction import Target
from extproc.translate.openai_anthropic.schema import constrained
from extproc.translate.openai_bedrock.conversation import Conversation
from extproc.translate.openai_bedrock.models import model_of
from extproc.translate.openai_bedrock.parts import Block
from extproc.translate.openai_bedrock.thinking import sampling_of, thinking_of
from extproc.translate.openai_bedrock.tools import forces, one_at_a_time, tools_of
from extproc.translate.walk import list_of, object_of, text_of

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
_CARRIED = CARRIED | {"metadata", "service_tier", "thinking"}
_TIERS = ("default", "flex", "priority")
_IN_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}", re.ASCII)
_MOST_METADATA = 16


def translated(body: dict[str, Any], target: Target) -> tuple[Block, Notes]:
    """The request for the target, and what of the client's is not in it. Raises BadRequest."""
    notes, model = Notes(), model_of(target.model)
    look_at(body, notes, carried=_CARRIED, left_out=WITHOUT_EFFECT, no_place=_NO_PLACE)
    talk = Conversation(model, notes)
    for number, message in enumerate(list_of(body.get("messages"), "messages")):
        talk.add(message, number)
    talk.close()
    made = tools_of(body, talk, model, notes)
    limit = most_of(body, target)
    cannot_think = forces(made) or (model.claude.thinks_first and talk.calls_without_thought)
    thinking, effort = thinking_of(body, model, limit, cannot_think, notes)
    sampling, more = sampling_of(body, model, thinking, notes)
    more = thinking | more | one_at_a_time(body, made, model, notes)
    made |= {"additionalModelRequestFields": more} if more else {}
    config = {} if limit is None else {"maxTokens": limit}
    stops = stops_of(
        body, notes, blank=model.maker != "claude"
    )  # which wants something else than white space in them
    config |= sampling | ({"stopSequences": stops} if stops else {})
    made |= {"inferenceConfig": config} if config else {}
    text_format, instruction = _format(body, notes)
    output = text_format | ({"effort": effort} if effort else {})
    made |= {"outputConfig": output} if output else {}
    system = [*talk.system, *instruction]
    made |= {"system": system} if system else {}
    look_at_stream_options(body, notes)
    return {"messages": talk.turns} | made | _rest(body, notes), notes


def _format(body: dict[str, Any], notes: Notes) -> tuple[Block, list[Block]]:
    """The member of `outputConfig`, and what the system prompt has to say."""
    wanted = format_of(body, notes)
    if wanted is None:
        return {}, []
    schema = constrained(wanted.schema)
    if not schema:  # any JSON will do
        return {}, [{"text": JSON_ONLY}]
    said: Block = {"schema": json.dumps(schema, ensure_ascii=False)}
    for name in ("name", "description"):
        if wanted.given.get(name) is not None:
            said[name] = text_of(wanted.given[name], f"{wanted.path}.{name}")
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": said}}}, []


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
