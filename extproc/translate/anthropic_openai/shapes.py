"""Which members the objects of a Messages request may have, and what becomes of each on the way to OpenAI's API.

The names and types are those of https://platform.claude.com/docs/en/api/messages. Tables only, no decisions.
"""

from dataclasses import dataclass, field
from typing import Any

from extproc.surface import Types


@dataclass(frozen=True, slots=True)
class Shape:
    """An object of the API. A member that is in none of the three is one that OpenAI's API has no place for."""

    members: dict[str, Types]  # carried over
    neutral: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # these values ask for nothing, as null does
    left_out: frozenset[str] = frozenset()  # the answer does not depend on them: never a reason to refuse
    required: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        required = tuple(name for name, types in self.members.items() if types.required)
        object.__setattr__(self, "required", required)


_TEXT, _TEXTS, _LIST, _OBJECT = Types((str,)), Types((str, list)), Types((list,)), Types((dict,))
_FLAG, _WHOLE, _NUMBER = Types((bool,)), Types((int,)), Types((float,))
_A_TEXT, _A_LIST, _AN_OBJECT = (Types((kind,), required=True) for kind in (str, list, dict))
_SOME_TEXTS = Types((str, list), required=True)
_CACHE = frozenset({"cache_control"})
_NO_CITATIONS: dict[str, tuple[Any, ...]] = {"citations": ({}, {"enabled": False})}

REQUEST = Shape(
    {
        "model": _A_TEXT,
        "messages": _A_LIST,
        "max_tokens": _WHOLE,
        "metadata": _OBJECT,
        "output_config": _OBJECT,
        "output_format": _OBJECT,  # what output_config.format was called at first
        "service_tier": _TEXT,
        "stop_sequences": _LIST,
        "stream": _FLAG,
        "system": _TEXTS,
        "temperature": _NUMBER,
        "thinking": _OBJECT,
        "tool_choice": _OBJECT,
        "tools": _LIST,
        "top_p": _NUMBER,
    },
    {"context_management": ({}, {"edits": []}), "mcp_servers": ([],), "speed": ("standard",)},
    _CACHE,
)

# For targets that take more than OpenAI's API has.
FURTHER = Shape({**REQUEST.members, "top_k": _WHOLE}, REQUEST.neutral, REQUEST.left_out)

MESSAGE = Shape({"role": _A_TEXT, "content": _SOME_TEXTS})

TEXT = Shape({"type": _A_TEXT, "text": _A_TEXT}, {"citations": ([],)}, _CACHE | {"citations"})
IMAGE = Shape(
    {"type": _A_TEXT, "source": _AN_OBJECT}, {"transformations": ({}, {"oversized_image": "downsize"})}, _CACHE
)
DOCUMENT = Shape({"type": _A_TEXT, "source": _AN_OBJECT, "title": _TEXT, "context": _TEXT}, _NO_CITATIONS, _CACHE)
CITED_DOCUMENT = Shape({**DOCUMENT.members, "citations": _OBJECT}, left_out=DOCUMENT.left_out)
SEARCH_RESULT = Shape(
    {"type": _A_TEXT, "source": _A_TEXT, "title": _A_TEXT, "content": _A_LIST}, _NO_CITATIONS, _CACHE
)
TOOL_USE = Shape(
    {"type": _A_TEXT, "id": _A_TEXT, "name": _A_TEXT, "input": _AN_OBJECT}, {"caller": ({"type": "direct"},)}, _CACHE
)
TOOL_RESULT = Shape({"type": _A_TEXT, "tool_use_id": _A_TEXT, "content": _TEXTS, "is_error": _FLAG}, left_out=_CACHE)
THINKING = Shape({"type": _A_TEXT, "thinking": _A_TEXT, "signature": _TEXT})
REDACTED_THINKING = Shape({"type": _A_TEXT, "data": _TEXT})

SEEN = {"text": TEXT, "image": IMAGE, "document": DOCUMENT, "search_result": SEARCH_RESULT}
# The blocks that each role may have; the API knows others, which have no counterpart.
BY_ROLE: dict[str, dict[str, Shape]] = {
    "user": {**SEEN, "tool_result": TOOL_RESULT},
    "assistant": {
        "text": TEXT,
        "tool_use": TOOL_USE,
        "thinking": THINKING,
        "redacted_thinking": REDACTED_THINKING,
    },
    "system": {"text": TEXT},
}
BLOCKS = frozenset().union(*BY_ROLE.values())

IMAGE_SOURCES = {
    "base64": Shape({"type": _A_TEXT, "media_type": _A_TEXT, "data": _A_TEXT}),
    "url": Shape({"type": _A_TEXT, "url": _A_TEXT}),
}
DOCUMENT_SOURCES = {
    "base64": Shape({"type": _A_TEXT, "media_type": _A_TEXT, "data": _A_TEXT}),
    "text": Shape({"type": _A_TEXT, "media_type": _TEXT, "data": _A_TEXT}),
    "content": Shape({"type": _A_TEXT, "content": _SOME_TEXTS}),
}
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
DOCUMENT_TYPES = {"base64": "application/pdf", "text": "text/plain"}

TOOL = Shape(
    {"name": _A_TEXT, "type": _TEXT, "description": _TEXT, "input_schema": _AN_OBJECT, "strict": _FLAG},
    {"allowed_callers": (["direct"],), "defer_loading": (False,), "input_examples": ([],)},
    _CACHE | {"eager_input_streaming"},
)
TOOL_CHOICE = {
    "auto": Shape({"type": _A_TEXT, "disable_parallel_tool_use": _FLAG}),
    "any": Shape({"type": _A_TEXT, "disable_parallel_tool_use": _FLAG}),
    "tool": Shape({"type": _A_TEXT, "name": _A_TEXT, "disable_parallel_tool_use": _FLAG}),
    "none": Shape({"type": _A_TEXT}),
}
THINKING_CONFIG = {
    "enabled": Shape(
        {"type": _A_TEXT, "budget_tokens": Types((int,), required=True)},
        {"display": ("summarized",)},
        frozenset({"display"}),
    ),
    "adaptive": Shape({"type": _A_TEXT}, {"display": ("summarized",)}, frozenset({"display"})),
    "disabled": Shape({"type": _A_TEXT}),
}
_DISPLAY = {"display": _TEXT}
THINKING_KEPT = {
    "enabled": Shape(THINKING_CONFIG["enabled"].members | _DISPLAY),
    "adaptive": Shape(THINKING_CONFIG["adaptive"].members | _DISPLAY),
    "disabled": THINKING_CONFIG["disabled"],
}
OUTPUT_CONFIG = Shape({"effort": _TEXT, "format": _OBJECT})
FORMAT = {"json_schema": Shape({"type": _A_TEXT, "schema": _AN_OBJECT})}
METADATA = Shape({"user_id": _TEXT})

ROLES = tuple(BY_ROLE)
EFFORTS = ("low", "medium", "high", "xhigh", "max")
SERVICE_TIERS = ("auto", "standard_only")
