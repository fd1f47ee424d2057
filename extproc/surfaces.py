"""The endpoints that clients call, and the types of the parameters that each one takes.

Names and types are OpenAI's (its OpenAPI file, version 2.3.0) and Anthropic's (its SDK, version 2.11, and what its
API took before). A parameter that is not listed is the provider's to judge; it goes through as the client wrote it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headgate.error_shapes import Api


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form: how large it is, and its first bytes."""

    size_bytes: int
    head: bytes


_NAMES = {
    Upload: "a file",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


@dataclass(frozen=True, slots=True)
class Types:
    """What types a parameter may have: JSON's, or a file. Null means the same as absent, unless it is required."""

    allowed: tuple[type, ...]
    required: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether the parsed value has one of the types; a JSON integer is a number too, a boolean is not."""
        if value is None:
            return not self.required
        if isinstance(value, bool):
            return bool in self.allowed
        if isinstance(value, int) and float in self.allowed:
            return True
        return isinstance(value, self.allowed)

    def __str__(self) -> str:
        return " or ".join(_NAMES[kind] for kind in self.allowed)


def json_type(value: Any) -> str:
    """A parsed value's type, as a person would name it."""
    return "null" if value is None else _NAMES[type(value)]


@dataclass(frozen=True, eq=False)  # no slots: a cached property needs a __dict__
class Surface:
    """One endpoint. `path` is what follows /v1; `operation` is OpenTelemetry's name (gen_ai.operation.name).

    `api` is the client's: a target that speaks another one gets the request translated. `prompt` is the parameter
    that holds what is asked. Where a surface `asks_usage`, streams have none unless `stream_options` says so. Where
    it `is_free`, nothing is generated. What is `native_only` takes a target with the Responses API and no preset.
    What is `by_id` is about a response that was made before, with its id in the path and no body; `query` are the
    parameters that may stand behind that.

    What `passes` is sent as it is, but for the model's name, to targets that speak the client's API, whatever their
    preset. `forms`: it takes multipart/form-data, and JSON only where `json` says so. `answer_types` may come beside
    JSON and events. `unit` is what is charged for beside tokens (headgate/units.py).
    """

    name: str
    path: str
    parameters: dict[str, Types]
    streams: bool
    operation: str = ""
    api: Api = "openai"
    prompt: str = "messages"
    asks_usage: bool = False
    is_free: bool = False
    native_only: bool = False
    by_id: bool = False
    method: str = "POST"
    query: frozenset[str] = frozenset()
    passes: bool = False
    forms: bool = False
    json: bool = True
    answer_types: tuple[str, ...] = ()
    unit: str = ""

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The parameters that a request cannot do without."""
        return tuple(name for name, types in self.parameters.items() if types.required)


_FLAG, _WHOLE, _NUMBER, _TEXT = Types((bool,)), Types((int,)), Types((float,)), Types((str,))
_LIST, _OBJECT, _TEXTS = Types((list,)), Types((dict,)), Types((str, list))
_MODEL = Types((str,), required=True)

_SAMPLING = {
    "frequency_penalty": _NUMBER,
    "logit_bias": _OBJECT,
    "max_tokens": _WHOLE,
    "n": _WHOLE,
    "presence_penalty": _NUMBER,
    "seed": _WHOLE,
    "stop": _TEXTS,
    "stream": _FLAG,
    "stream_options": _OBJECT,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "user": _TEXT,
}

CHAT = Surface(
    "chat",
    "/chat/completions",
    {
        "model": _MODEL,
        "messages": Types((list,), required=True),
        **_SAMPLING,
        "logprobs": _FLAG,
        "max_completion_tokens": _WHOLE,
        "metadata": _OBJECT,
        "parallel_tool_calls": _FLAG,
        "reasoning_effort": _TEXT,
        "response_format": _OBJECT,
        "store": _FLAG,
        "tool_choice": Types((str, dict)),
        "tools": _LIST,
        "top_logprobs": _WHOLE,
    },
    streams=True,
    operation="chat",
    asks_usage=True,
)

COMPLETIONS = Surface(
    "completions",
    "/completions",
    {
        "model": _MODEL,
        "prompt": Types((str, list), required=True),
        **_SAMPLING,
        "best_of": _WHOLE,
        "echo": _FLAG,
        "logprobs": _WHOLE,
        "suffix": _TEXT,
    },
    streams=True,
    operation="text_completion",
    prompt="prompt",
    asks_usage=True,
)

EMBEDDINGS = Surface(
    "embeddings",
    "/embeddings",
    {
        "model": _MODEL,
        "input": Types((str, list), required=True),
        "dimensions": _WHOLE,
        "encoding_format": _TEXT,
        "user": _TEXT,
    },
    streams=False,
    operation="embeddings",
    prompt="input",
)

_PROMPT = {
    "model": _MODEL,
    "messages": Types((list,), required=True),
    "cache_control": _OBJECT,
    "context_management": _OBJECT,
    "mcp_servers": _LIST,
    "output_config": _OBJECT,
    "speed": _TEXT,
    "system": _TEXTS,
    "thinking": _OBJECT,
    "tool_choice": _OBJECT,
    "tools": _LIST,
}

MESSAGES = Surface(
    "messages",
    "/messages",
    {
        **_PROMPT,
        "max_tokens": Types((int,), required=True),
        "container": Types((str, dict)),
        "diagnostics": _OBJECT,
        "inference_geo": _TEXT,
        "metadata": _OBJECT,
        "service_tier": _TEXT,
        "stop_sequences": _LIST,
        "stream": _FLAG,
        "temperature": _NUMBER,
        "top_k": _WHOLE,
        "top_p": _NUMBER,
    },
    streams=True,
    operation="chat",
    api="anthropic",
)

# OpenTelemetry has no name for it.
COUNT_TOKENS = Surface(
    "count_tokens", "/messages/count_tokens", _PROMPT, streams=False, api="anthropic", is_free=True
)

_ASKEDOF_RESPONSES = {
    "model": _MODEL,
    "conversation": Types((str, dict)),
    "input": _TEXTS,
    "instructions": _TEXT,
    "parallel_tool_calls": _FLAG,
    "previous_response_id": _TEXT,
    "reasoning": _OBJECT,
    "text": _OBJECT,
    "tool_choice": Types((str, dict)),
    "tools": _LIST,
    "truncation": _TEXT,
}

RESPONSES = Surface(
    "responses",
    "/responses",
    {
        **_ASKEDOF_RESPONSES,
        "background": _FLAG,
        "context_management": _LIST,
        "include": _LIST,
        "max_output_tokens": _WHOLE,
        "max_tool_calls": _WHOLE,
        "metadata": _OBJECT,
        "moderation": _OBJECT,
        "prompt": _OBJECT,
        "prompt_cache_key": _TEXT,
        "prompt_cache_options": _OBJECT,
        "prompt_cache_retention": _TEXT,
        "safety_identifier": _TEXT,
        "service_tier": _TEXT,
        "store": _FLAG,
        "stream": _FLAG,
        "stream_options": _OBJECT,
        "temperature": _NUMBER,
        "top_logprobs": _WHOLE,
        "top_p": _NUMBER,
        "user": _TEXT,
    },
    streams=True,
    operation="chat",
    prompt="input",
)

RESPONSE_TOKENS = Surface(
    "responses.input_tokens",
    "/responses/input_tokens",
    _ASKEDOF_RESPONSES,
    streams=False,
    prompt="input",
    is_free=True,
    native_only=True,
)

RESPONSE_COMPACT = Surface(
    "responses.compact",
    "/responses/compact",
    {
        "model": _MODEL,
        "input": _TEXTS,
        "instructions": _TEXT,
        "previous_response_id": _TEXT,
        "prompt_cache_key": _TEXT,
        "prompt_cache_options": _OBJECT,
        "prompt_cache_retention": _TEXT,
        "service_tier": _TEXT,
    },
    streams=False,
    operation="chat",
    prompt="input",
    native_only=True,
)

ID = "{response_id}"  # in the path of what is `by_id`


def _by_id(name: str, path: str, method: str, *query: str, streams: bool = False) -> Surface:
    return Surface(
        f"responses.{name}",
        f"/responses/{ID}{path}",
        {},
        streams=streams,
        is_free=True,
        by_id=True,
        method=method,
        query=frozenset(query),
    )


RESPONSE_BY_ID = (
    _by_id("get", "", "GET", "include", "include[]", "include_obfuscation", "starting_after", "stream", streams=True),
    _by_id("delete", "", "DELETE"),
    _by_id("cancel", "/cancel", "POST"),
    _by_id("input_items", "/input_items", "GET", "after", "include", "include[]", "limit", "order"),
)

# Passed through from here on. `rerank` is no endpoint of OpenAI's but of Cohere's, as Jina and vLLM have it.
_FILE = Types((Upload,), required=True)
_ANY_TEXT = Types((str,), required=True)

_PICTURE = {
    "model": _MODEL,
    "prompt": _ANY_TEXT,
    "background": _TEXT,
    "n": _WHOLE,
    "output_compression": _WHOLE,
    "output_format": _TEXT,
    "partial_images": _WHOLE,
    "quality": _TEXT,
    "response_format": _TEXT,
    "size": _TEXT,
    "stream": _FLAG,
    "user": _TEXT,
}

IMAGES = Surface(
    "images",
    "/images/generations",
    {**_PICTURE, "moderation": _TEXT, "style": _TEXT},
    streams=True,
    operation="image_generation",
    prompt="prompt",
    passes=True,
    unit="image",
)

IMAGE_EDITS = Surface(
    "image_edits",
    "/images/edits",
    {
        **_PICTURE,
        "image": Types((Upload, str, list, dict)),
        "input_fidelity": _TEXT,
        "mask": Types((Upload, str, dict)),
    },
    streams=True,
    operation="image_generation",
    prompt="prompt",
    passes=True,
    forms=True,
    unit="image",
)

IMAGE_VARIATIONS = Surface(
    "image_variations",
    "/images/variations",
    {"model": _MODEL, "image": _FILE, "n": _WHOLE, "response_format": _TEXT, "size": _TEXT, "user": _TEXT},
    streams=False,
    operation="image_generation",
    prompt="image",
    passes=True,
    forms=True,
    json=False,
    unit="image",
)

SPEECH = Surface(
    "speech",
    "/audio/speech",
    {
        "model": _MODEL,
        "input": _ANY_TEXT,
        "instructions": _TEXT,
        "response_format": _TEXT,
        "speed": _NUMBER,
        "stream_format": _TEXT,
        "voice": Types((str, dict)),
    },
    streams=True,
    operation="text_to_speech",
    prompt="input",
    passes=True,
    answer_types=("audio/", "application/octet-stream"),
    unit="character",
)

_WRITTEN = ("text/plain", "text/srt", "text/vtt", "application/x-subrip")
_HEARD = {
    "model": _MODEL,
    "file": _FILE,
    "prompt": _TEXT,
    "response_format": _TEXT,
    "temperature": _NUMBER,
}

TRANSCRIPTIONS = Surface(
    "transcriptions",
    "/audio/transcriptions",
    {**_HEARD, "chunking_strategy": Types((str, dict)), "language": _TEXT, "stream": _FLAG},
    streams=True,
    operation="speech_to_text",
    prompt="file",
    passes=True,
    forms=True,
    json=False,
    answer_types=_WRITTEN,
    unit="second",
)

TRANSLATIONS = Surface(
    "translations",
    "/audio/translations",
    _HEARD,
    streams=False,
    operation="speech_to_text",
    prompt="file",
    passes=True,
    forms=True,
    json=False,
    answer_types=_WRITTEN,
    unit="second",
)

MODERATIONS = Surface(
    "moderations",
    "/moderations",
    {"model": _MODEL, "input": Types((str, list), required=True)},
    streams=False,
    operation="moderation",
    prompt="input",
    passes=True,
)

RERANK = Surface(
    "rerank",
    "/rerank",
    {
        "model": _MODEL,
        "query": Types((str, dict), required=True),
        "documents": Types((list, dict), required=True),
        "return_documents": _FLAG,
        "top_n": _WHOLE,
    },
    streams=False,
    operation="rerank",
    prompt="documents",
    passes=True,
)

MODELS = Surface("models", "/models", {}, streams=False)  # GET, answered here: no provider is asked

NONE = Surface("", "", {}, streams=False)  # before a request's surface is known

_PASSED = (IMAGES, IMAGE_EDITS, IMAGE_VARIATIONS, SPEECH, TRANSCRIPTIONS, TRANSLATIONS, MODERATIONS, RERANK)
OF_RESPONSES = (RESPONSES, RESPONSE_TOKENS, RESPONSE_COMPACT)
_ASKED = (CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, COUNT_TOKENS, *OF_RESPONSES, *_PASSED)
BY_PATH = {surface.path: surface for surface in _ASKED}
BY_NAME = {surface.name: surface for surface in _ASKED}
