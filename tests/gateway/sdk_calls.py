"""Every call of openai-python's responses, chat, embeddings and models, with everything that each of them takes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import openai
from pydantic import BaseModel
from stored_gateway import store

MORE: dict[str, Any] = {"extra_headers": {"openai-beta": "x=v1"}, "extra_query": {"mine": "1"}, "timeout": 20.0}


class Place(BaseModel):
    name: str


@dataclass(frozen=True)
class Call:
    """`made` names what has to be there before: it makes that, and says under which name the call takes its id."""

    name: str
    given: dict[str, Any] = field(default_factory=dict)
    made: Callable[[openai.OpenAI], dict[str, Any]] = lambda _: {}

    @property
    def streams(self) -> bool:
        return self.given.get("stream") is True


def response(sdk: openai.OpenAI) -> dict[str, Any]:
    return {"response_id": sdk.responses.create(model="chat", input="x").id}


def in_background(sdk: openai.OpenAI) -> dict[str, Any]:
    simulate = {"simulate": {"ttft_s": 60}}
    return {"response_id": sdk.responses.create(model="chat", input="x", background=True, extra_body=simulate).id}


def previous(sdk: openai.OpenAI) -> dict[str, Any]:
    return {"previous_response_id": response(sdk)["response_id"]}


def completion(sdk: openai.OpenAI) -> dict[str, Any]:
    return {"completion_id": store(sdk, "chat")}


def after_one(sdk: openai.OpenAI) -> dict[str, Any]:
    return {"after": store(sdk, "chat")}


SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
STRICT: dict[str, Any] = {**SCHEMA, "additionalProperties": False}
FUNCTION: dict[str, Any] = {"name": "weather", "description": "é", "parameters": STRICT, "strict": True}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": STRICT, "strict": True}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
CACHED = {
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "prompt_cache_retention": "24h",
}
PLAIN = {"model": "chat", "messages": [{"role": "user", "content": "x"}]}
_SAID: dict[str, Any] = {
    "model": "chat",
    "messages": [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}], "name": "d"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:text/plain;base64,eA==", "filename": "a.txt"}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"é"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
    ],
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "weather", "parameters": SCHEMA}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 60,
    "max_tokens": 50,
    "metadata": {"a": "b"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "omni-moderation-latest"},
    "n": 1,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": -0.5,
    **CACHED,
    "reasoning_effort": "low",
    "safety_identifier": "s",
    "seed": 7,
    "service_tier": "flex",
    "stop": ["END"],
    "store": False,
    "temperature": 0.25,
    "tool_choice": "none",
    "tools": [{"type": "function", "function": FUNCTION}],
    "top_logprobs": 2,
    "top_p": 0.5,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low"},
}
_ASKED: dict[str, Any] = {
    "model": "chat",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": PIXEL, "detail": "low"},
            ],
        },
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "sun"},
    ],
    "access_programs": {"x": "y"},
    "background": False,
    "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    "image": {"x": "y"},
    "include": ["reasoning.encrypted_content"],
    "instructions": "Be brief.",
    "max_output_tokens": 60,
    "max_tool_calls": 3,
    "metadata": {"a": "b"},
    "moderation": {"model": "omni-moderation-latest"},
    "parallel_tool_calls": True,
    "prompt": {"id": "pmpt_1", "variables": {"v": "w"}},
    **CACHED,
    "reasoning": {"effort": "low", "summary": "auto"},
    "safety_identifier": "s",
    "service_tier": "flex",
    "store": True,
    "temperature": 0.25,
    "tool_choice": "none",
    "tools": [{"type": "function", **FUNCTION}],
    "top_logprobs": 2,
    "top_p": 0.5,
    "truncation": "auto",
    "user": "u",
}
_PLACE = {
    "type": "json_schema",
    "name": "place",
    "schema": {**Place.model_json_schema(), "additionalProperties": False},
}
_TEXT = {"text": {"format": {"type": "text"}, "verbosity": "low"}}
_COUNTED = (
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "reasoning",
    "tool_choice",
    "tools",
    "truncation",
)
_OBFUSCATED = {"stream_options": {"include_obfuscation": False}}
_USAGE = {"stream_options": {"include_usage": True, "include_obfuscation": False}}

CALLS = (
    Call("responses.create", {**_ASKED, **_TEXT, "stream": False}, previous),
    Call("responses.create", {**_ASKED, **_TEXT, "stream": True, **_OBFUSCATED}, previous),
    Call("responses.parse", {**_ASKED, "text_format": Place, "stream": False, "verbosity": "low"}, previous),
    Call("responses.parse", {**_ASKED, "parse_as": Place, "text": {"format": _PLACE}, "stream_options": None}),
    Call("responses.stream", {**_ASKED, **_TEXT, **_OBFUSCATED}, previous),
    Call("responses.stream", {**_ASKED, "text_format": Place}),
    Call("responses.stream", {"starting_after": 1}, response),
    Call("responses.retrieve", {"include": ["reasoning.encrypted_content"], "include_obfuscation": False}, response),
    Call("responses.retrieve", {"stream": True, "starting_after": 1}, response),
    Call("responses.cancel", {}, in_background),
    Call("responses.delete", {}, response),
    Call(
        "responses.compact",
        {"model": "chat", "input": "x", "instructions": "y", "image": {"x": "y"}, **CACHED, "service_tier": "flex"},
        previous,
    ),
    Call(
        "responses.input_items.list",
        {"limit": 1, "order": "asc", "include": ["message.input_image.image_url"]},
        response,
    ),
    Call("responses.input_items.list", {"after": "item_0"}, response),
    Call(
        "responses.input_tokens.count",
        {**{name: _ASKED[name] for name in _COUNTED}, **_TEXT, "personality": "friendly"},
        previous,
    ),
    Call("chat.completions.create", {**_SAID, "response_format": FORMAT, "stream": False}),
    Call("chat.completions.create", {**_SAID, "response_format": FORMAT, "stream": True, **_USAGE}),
    Call("chat.completions.create", {**PLAIN, "stream": True}),
    Call("chat.completions.parse", {**_SAID, "response_format": Place, "stream_options": None}),
    Call("chat.completions.stream", {**_SAID, "response_format": Place, **_USAGE}),
    Call("chat.completions.retrieve", {}, completion),
    Call("chat.completions.update", {"metadata": {"é": "😀"}}, completion),
    Call("chat.completions.delete", {}, completion),
    Call(
        "chat.completions.list", {"limit": 2, "metadata": {"a b": "é&"}, "model": "chat", "order": "asc"}, after_one
    ),
    Call("chat.completions.messages.list", {"limit": 1, "order": "desc"}, completion),
    Call("chat.completions.messages.list", {"after": "x"}, completion),
    Call(
        "embeddings.create",
        {"model": "chat", "input": ["a", "é"], "dimensions": 8, "encoding_format": "float", "user": "u"},
    ),
    Call("embeddings.create", {"model": "chat", "input": [[1, 2], [3]], "encoding_format": "base64"}),
    Call("embeddings.create", {"model": "chat", "input": "x"}),
    Call("models.list"),
    Call("models.retrieve", {"model": "chat"}),
    Call("models.delete", {"model": "chat"}),
)
