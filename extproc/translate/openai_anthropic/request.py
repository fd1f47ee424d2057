"""The whole request: every parameter of OpenAI's chat completions to its place in Anthropic's Messages, or among
those that have none. A parameter that asks for what happens anyway (`n: 1`, null) needs no place.
"""

from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.direction import Target
from extproc.translate.openai_anthropic.messages import Conversation
from extproc.translate.openai_anthropic.models import abilities_of
from extproc.translate.openai_anthropic.parts import Block, checked_kind, text_block
from extproc.translate.openai_anthropic.schema import constrained
from extproc.translate.openai_anthropic.thinking import sampling_of, thinking_of
from extproc.translate.openai_anthropic.tools import forces, tools_of
from extproc.translate.walk import Walk, count_of, list_of, object_of, shown, text_of

# Anthropic's API wants a limit with every request. Thinking counts, so it is not a small one; every Claude since 4
# can write as much.
DEFAULT_MAX_TOKENS = 32_000

JSON_ONLY = "Answer with one JSON object and nothing else: no other text before or after it, no code fence."

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
LEFT_OUT = ("prompt_cache_key",)
_CARRIED = frozenset(
    {
        *LEFT_OUT,
        "function_call",
        "functions",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "parallel_tool_calls",
        "prompt_cache_options",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "service_tier",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
        "user",
    }
)


def translated(body: dict[str, Any], target: Target) -> tuple[Block, tuple[str, ...]]:
    """The request for the target, and the paths of what has no place in it. Raises BadRequest."""
    walk, model = Walk(), abilities_of(target.model)
    for name, value in body.items():
        if value is not None and name not in _CARRIED and value not in _NO_PLACE.get(name, ()):
            walk.no_place(shown(name))
    talk = Conversation(walk)
    for number, message in enumerate(list_of(body.get("messages"), "messages")):
        talk.add(message, number)
    talk.close()
    tools = tools_of(body, talk.called, model, walk)
    asked, most = limit_of(body), target.max_output_tokens
    limit = min(asked, most or asked) if asked else most or DEFAULT_MAX_TOKENS
    cannot_think = forces(tools) or (model.thinks_first and talk.calls_without_thought)
    thinking, effort = thinking_of(body, model, limit, cannot_think, walk)
    output, instruction = _format(body, walk)
    system = [*talk.system, *instruction]
    made: Block = {"model": target.model, "max_tokens": limit}
    made |= {"system": system} if system else {}
    made |= {"messages": talk.turns, **tools, **thinking, **sampling_of(body, model, thinking, walk)}
    made |= {"output_config": effort | output} if effort or output else {}
    made |= _stop(body, walk) | _rest(body, walk)
    return made, walk.unsupported


def limit_of(body: dict[str, Any]) -> int | None:
    """The lower of the two names' values; both are promises that no more is written."""
    names = ("max_completion_tokens", "max_tokens")
    return min((count_of(body[name], name) for name in names if body.get(name) is not None), default=None)


def _format(body: dict[str, Any], walk: Walk) -> tuple[Block, list[Block]]:
    """The format for `output_config`, and what the system prompt has to say."""
    path, wanted = "response_format", body.get("response_format")
    if wanted is None:
        return {}, []
    kind = checked_kind(object_of(wanted, path).get("type"), f"{path}.type", ("text", "json_object", "json_schema"))
    if kind == "text":
        return {}, []
    if kind == "json_object":
        return {}, [text_block(JSON_ONLY)]
    path = f"{path}.json_schema"
    named = object_of(wanted.get("json_schema"), path)
    walk.only(named, ("name", "description", "schema", "strict"), path)
    schema = constrained(object_of(named.get("schema") or {}, f"{path}.schema"))
    if not schema:  # any JSON will do
        return {}, [text_block(JSON_ONLY)]
    if named.get("description") is not None and not schema.get("description"):
        schema["description"] = text_of(named["description"], f"{path}.description")
    return {"format": {"type": "json_schema", "schema": schema}}, []


def _stop(body: dict[str, Any], walk: Walk) -> Block:
    stop = body.get("stop")
    if stop is None:
        return {}
    single = isinstance(stop, str)
    texts = list[str]()
    for number, text in enumerate([stop] if single else list_of(stop, "stop")):
        path = "stop" if single else f"stop[{number}]"
        if text_of(text, path).strip():
            texts.append(text)
        else:
            walk.no_place(path)  # Anthropic wants something else than white space in it
    return {"stop_sequences": texts} if texts else {}


def _rest(body: dict[str, Any], walk: Walk) -> Block:
    """How it is cached and sent, for whom and at what service."""
    made = _whose(body, walk)
    if (options := body.get("prompt_cache_options")) is not None:
        made |= _cache(object_of(options, "prompt_cache_options"), walk)
    if (options := body.get("stream_options")) is not None:  # usage is always in the stream that we make
        for name, value in object_of(options, "stream_options").items():
            if name != "include_usage" and value:
                walk.no_place(f"stream_options.{shown(name)}")
    if body.get("stream"):
        made["stream"] = True
    return made


def _whose(body: dict[str, Any], walk: Walk) -> Block:
    made: Block = {}
    path = "user" if body.get("safety_identifier") is None else "safety_identifier"  # what `user` has become
    user = body.get(path)
    if body.get("user") not in (None, user):
        walk.no_place("user")
    if user:
        made["metadata"] = {"user_id": text_of(user, path)}
    if (tier := body.get("service_tier")) == "default":
        made["service_tier"] = "standard_only"
    elif tier not in (None, "auto"):
        walk.no_place("service_tier")
    return made


def _cache(options: dict[str, Any], walk: Walk) -> Block:
    if options.get("ttl") not in (None, "30m"):
        walk.no_place("prompt_cache_options.ttl")
    walk.only(options, ("mode", "ttl"), "prompt_cache_options")
    return {} if options.get("mode") == "explicit" else {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def refuse_unencodable(error: Exception) -> BadRequest:
    """What to raise where a request cannot be written as JSON again."""
    if isinstance(error, RecursionError):
        return BadRequest("The JSON body is nested too deeply.", code="invalid_json")
    return BadRequest("A string of the body has half a surrogate pair, which no UTF-8 text can have.")
