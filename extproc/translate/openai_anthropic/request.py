"""The whole request: every parameter of OpenAI's chat completions to its place in Anthropic's Messages, or among
those that have none. A parameter that asks for what happens anyway (`n: 1`, null) needs no place.
"""

from typing import Any

from extproc.translate.chat_notes import Notes
from extproc.translate.chat_parameters import (
    CARRIED,
    JSON_ONLY,
    format_of,
    look_at,
    look_at_stream_options,
    most_of,
    stops_of,
)
from extproc.translate.direction import Target
from extproc.translate.openai_anthropic.messages import Conversation
from extproc.translate.openai_anthropic.models import abilities_of
from extproc.translate.openai_anthropic.parts import Block, text_block
from extproc.translate.openai_anthropic.schema import constrained
from extproc.translate.openai_anthropic.thinking import sampling_of, thinking_of
from extproc.translate.openai_anthropic.tools import forces, tools_of
from extproc.translate.walk import list_of, object_of, text_of

# Anthropic's API wants a limit with every request. Thinking counts, so it is not a small one; every Claude since 4
# can write as much.
DEFAULT_MAX_TOKENS = 32_000

# What cannot be asked of Anthropic, and the values that ask for nothing.
_NO_PLACE: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "metadata": ({},),
    "modalities": (["text"],),
    "moderation": (),
    "n": (1,),
    "prediction": (),
    "presence_penalty": (0,),
    "prompt_cache_retention": ("in_memory",),
    "seed": (),
    "store": (False,),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
# Named where it is given, never a reason to refuse: it leads requests to one cache at OpenAI, and Anthropic finds its
# own by the text alone.
_LEFT_OUT = ("prompt_cache_key",)
_CARRIED = CARRIED | {"prompt_cache_options", "safety_identifier", "service_tier", "user"}


def translated(body: dict[str, Any], target: Target) -> tuple[Block, Notes]:
    """The request for the target, and what of the client's is not in it. Raises BadRequest."""
    notes, model = Notes(), abilities_of(target.model)
    look_at(body, notes, carried=_CARRIED, left_out=_LEFT_OUT, no_place=_NO_PLACE)
    talk = Conversation(notes)
    for number, message in enumerate(list_of(body.get("messages"), "messages")):
        talk.add(message, number)
    talk.close()
    tools = tools_of(body, talk.called, model, notes)
    limit = most_of(body, target) or target.max_output_tokens or DEFAULT_MAX_TOKENS
    cannot_think = forces(tools) or (model.thinks_first and talk.calls_without_thought)
    thinking, effort = thinking_of(body, model, limit, cannot_think, notes)
    output, instruction = _format(body, notes)
    system = [*talk.system, *instruction]
    made: Block = {"model": target.model, "max_tokens": limit}
    made |= {"system": system} if system else {}
    made |= {"messages": talk.turns, **tools, **thinking, **sampling_of(body, model, thinking, notes)}
    made |= {"output_config": effort | output} if effort or output else {}
    stops = stops_of(body, notes, blank=False)  # Anthropic wants something else than white space in them
    made |= ({"stop_sequences": stops} if stops else {}) | _rest(body, notes)
    return made, notes


def _format(body: dict[str, Any], notes: Notes) -> tuple[Block, list[Block]]:
    """The format for `output_config`, and what the system prompt has to say."""
    wanted = format_of(body, notes)
    if wanted is None:
        return {}, []
    schema = constrained(wanted.schema)
    if not schema:  # any JSON will do
        return {}, [text_block(JSON_ONLY)]
    if wanted.description is not None and not schema.get("description"):
        schema["description"] = wanted.description
    return {"format": {"type": "json_schema", "schema": schema}}, []


def _rest(body: dict[str, Any], notes: Notes) -> Block:
    """How it is cached and sent, for whom and at what service."""
    made = _whose(body, notes)
    if (options := body.get("prompt_cache_options")) is not None:
        made |= _cache(object_of(options, "prompt_cache_options"), notes)
    look_at_stream_options(body, notes)
    if body.get("stream"):
        made["stream"] = True
    return made


def _whose(body: dict[str, Any], notes: Notes) -> Block:
    made: Block = {}
    path = "user" if body.get("safety_identifier") is None else "safety_identifier"  # what `user` has become
    user = body.get(path)
    if body.get("user") not in (None, user):
        notes.no_place("user")
    if user:
        made["metadata"] = {"user_id": text_of(user, path)}
    if (tier := body.get("service_tier")) == "default":
        made["service_tier"] = "standard_only"
    elif tier not in (None, "auto"):
        notes.no_place("service_tier")
    return made


def _cache(options: dict[str, Any], notes: Notes) -> Block:
    if options.get("ttl") not in (None, "30m"):
        notes.no_place("prompt_cache_options.ttl")
    notes.only(options, ("mode", "ttl"), "prompt_cache_options")
    return {} if options.get("mode") == "explicit" else {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
