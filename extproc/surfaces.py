"""The endpoints that clients call, and the types of the parameters that each one takes.

Names and types are OpenAI's (its OpenAPI file, version 2.3.0) and Anthropic's (its SDK, version 2.11, and what its
API took before). A parameter that is not listed is the provider's to judge; it goes through as the client wrote it.
"""

from extproc.passed import PASSED
from extproc.surface import FLAG, LIST, MODEL, NUMBER, OBJECT, TEXT, TEXTS, WHOLE, Surface, Types

_SAMPLING = {
    "frequency_penalty": NUMBER,
    "logit_bias": OBJECT,
    "max_tokens": WHOLE,
    "n": WHOLE,
    "presence_penalty": NUMBER,
    "seed": WHOLE,
    "stop": TEXTS,
    "stream": FLAG,
    "stream_options": OBJECT,
    "temperature": NUMBER,
    "top_p": NUMBER,
    "user": TEXT,
}

CHAT = Surface(
    "chat",
    "/chat/completions",
    {
        "model": MODEL,
        "messages": Types((list,), required=True),
        **_SAMPLING,
        "logprobs": FLAG,
        "max_completion_tokens": WHOLE,
        "metadata": OBJECT,
        "parallel_tool_calls": FLAG,
        "reasoning_effort": TEXT,
        "response_format": OBJECT,
        "store": FLAG,
        "tool_choice": Types((str, dict)),
        "tools": LIST,
        "top_logprobs": WHOLE,
    },
    streams=True,
    operation="chat",
    asks_usage=True,
)

COMPLETIONS = Surface(
    "completions",
    "/completions",
    {
        "model": MODEL,
        "prompt": Types((str, list), required=True),
        **_SAMPLING,
        "best_of": WHOLE,
        "echo": FLAG,
        "logprobs": WHOLE,
        "suffix": TEXT,
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
        "model": MODEL,
        "input": Types((str, list), required=True),
        "dimensions": WHOLE,
        "encoding_format": TEXT,
        "user": TEXT,
    },
    streams=False,
    operation="embeddings",
    prompt="input",
)

_PROMPT = {
    "model": MODEL,
    "messages": Types((list,), required=True),
    "cache_control": OBJECT,
    "context_management": OBJECT,
    "mcp_servers": LIST,
    "output_config": OBJECT,
    "speed": TEXT,
    "system": TEXTS,
    "thinking": OBJECT,
    "tool_choice": OBJECT,
    "tools": LIST,
}

MESSAGES = Surface(
    "messages",
    "/messages",
    {
        **_PROMPT,
        "max_tokens": Types((int,), required=True),
        "container": Types((str, dict)),
        "diagnostics": OBJECT,
        "inference_geo": TEXT,
        "metadata": OBJECT,
        "service_tier": TEXT,
        "stop_sequences": LIST,
        "stream": FLAG,
        "temperature": NUMBER,
        "top_k": WHOLE,
        "top_p": NUMBER,
    },
    streams=True,
    operation="chat",
    api="anthropic",
)

# OpenTelemetry has no name for it.
COUNT_TOKENS = Surface(
    "count_tokens", "/messages/count_tokens", _PROMPT, streams=False, api="anthropic", is_free=True
)

_ASKED_OF_RESPONSES = {
    "model": MODEL,
    "conversation": Types((str, dict)),
    "input": TEXTS,
    "instructions": TEXT,
    "parallel_tool_calls": FLAG,
    "previous_response_id": TEXT,
    "reasoning": OBJECT,
    "text": OBJECT,
    "tool_choice": Types((str, dict)),
    "tools": LIST,
    "truncation": TEXT,
}

RESPONSES = Surface(
    "responses",
    "/responses",
    {
        **_ASKED_OF_RESPONSES,
        "background": FLAG,
        "context_management": LIST,
        "include": LIST,
        "max_output_tokens": WHOLE,
        "max_tool_calls": WHOLE,
        "metadata": OBJECT,
        "moderation": OBJECT,
        "prompt": OBJECT,
        "prompt_cache_key": TEXT,
        "prompt_cache_options": OBJECT,
        "prompt_cache_retention": TEXT,
        "safety_identifier": TEXT,
        "service_tier": TEXT,
        "store": FLAG,
        "stream": FLAG,
        "stream_options": OBJECT,
        "temperature": NUMBER,
        "top_logprobs": WHOLE,
        "top_p": NUMBER,
        "user": TEXT,
    },
    streams=True,
    operation="chat",
    prompt="input",
)

RESPONSE_TOKENS = Surface(
    "responses.input_tokens",
    "/responses/input_tokens",
    _ASKED_OF_RESPONSES,
    streams=False,
    prompt="input",
    is_free=True,
    native_only=True,
)

RESPONSE_COMPACT = Surface(
    "responses.compact",
    "/responses/compact",
    {
        "model": MODEL,
        "input": TEXTS,
        "instructions": TEXT,
        "previous_response_id": TEXT,
        "prompt_cache_key": TEXT,
        "prompt_cache_options": OBJECT,
        "prompt_cache_retention": TEXT,
        "service_tier": TEXT,
    },
    streams=False,
    operation="chat",
    prompt="input",
    native_only=True,
)

ID = "{response_id}"  # in the path of what is `by_id`


def _by_id(of: Surface, name: str, path: str, method: str, *query: str, streams: bool = False) -> Surface:
    return Surface(
        f"{of.name}.{name}",
        f"{of.path}{path}",
        {"metadata": OBJECT} if name == "update" else {},
        streams=streams,
        prompt="",
        is_free=True,
        by_id=True,
        method=method,
        query=frozenset(query),
    )


_GET_QUERY = ("include", "include[]", "include_obfuscation", "starting_after", "stream")
RESPONSE_BY_ID = (
    _by_id(RESPONSES, "get", f"/{ID}", "GET", *_GET_QUERY, streams=True),
    _by_id(RESPONSES, "delete", f"/{ID}", "DELETE"),
    _by_id(RESPONSES, "cancel", f"/{ID}/cancel", "POST"),
    _by_id(RESPONSES, "input_items", f"/{ID}/input_items", "GET", "after", "include", "include[]", "limit", "order"),
)

# Chat completions that were made with `store: true`. A list may come after one that it names.
CHAT_LIST = _by_id(CHAT, "list", "", "GET", "after", "limit", "model", "order")
CHAT_GET = _by_id(CHAT, "get", f"/{ID}", "GET")
CHAT_UPDATE = _by_id(CHAT, "update", f"/{ID}", "POST")
CHAT_BY_ID = (
    CHAT_GET,
    CHAT_UPDATE,
    _by_id(CHAT, "delete", f"/{ID}", "DELETE"),
    _by_id(CHAT, "messages", f"/{ID}/messages", "GET", "after", "limit", "order"),
)
OF_STORED = (CHAT_LIST, *CHAT_BY_ID)
SHOW_STORED = (CHAT_LIST, CHAT_GET, CHAT_UPDATE)  # whose answers have the metadata

MODELS = Surface("models", "/models", {}, streams=False)  # GET, answered here: no provider is asked

NONE = Surface("", "", {}, streams=False)  # before a request's surface is known

OF_RESPONSES = (RESPONSES, RESPONSE_TOKENS, RESPONSE_COMPACT)
_ASKED = (CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, COUNT_TOKENS, *OF_RESPONSES, *PASSED)
BY_PATH = {surface.path: surface for surface in _ASKED}
BY_NAME = {surface.name: surface for surface in _ASKED}
