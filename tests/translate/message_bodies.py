"""Requests of Anthropic's clients, valid and not, for tests over any of them."""

from typing import Any

from hypothesis import strategies as st

from extproc.translate.sealed import Sealed, seal

SEALED = seal(Sealed(signatures={"a": "EqQB"}))


def asked(**members: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}], **members}


TEXTS = st.sampled_from(["", "a", "text", "image", "base64", "custom", "enabled", "user", "application/pdf"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.just(0.5) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
HINTS = st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}, {"extra": 1}])
SOURCES = st.sampled_from(
    [
        {"type": "url", "url": "https://example.com/a"},
        {"type": "base64", "media_type": "image/png", "data": "AA=="},
        {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
        {"type": "text", "media_type": "text/plain", "data": "x"},
        {"type": "content", "content": "x"},
        {"type": "file", "file_id": "f"},
    ]
)
SEEN = st.one_of(
    st.builds(lambda text, hint: {"type": "text", "text": text, **hint}, TEXTS, HINTS),
    st.builds(lambda kind, source: {"type": kind, "source": source}, st.sampled_from(["image", "document"]), SOURCES),
    st.builds(lambda source: {"type": "document", "source": source, "citations": {"enabled": True}}, SOURCES),
)
OF_USERS = SEEN | st.builds(
    lambda content, error: {"type": "tool_result", "tool_use_id": "a", "content": content, "is_error": error},
    TEXTS | st.lists(SEEN, max_size=2),
    st.booleans(),
)
OF_ASSISTANTS = st.sampled_from(
    [
        {"type": "text", "text": "x"},
        {"type": "thinking", "thinking": "x", "signature": ""},
        {"type": "thinking", "thinking": "x", "signature": "EqQBAA=="},
        {"type": "thinking", "thinking": "", "signature": SEALED},
        {"type": "redacted_thinking", "data": "EqQBAA=="},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": [1]}, "cache_control": {"type": "ephemeral"}},
        {"type": "server_tool_use", "id": "a", "name": "web_search", "input": {}},
    ]
)
MESSAGES = st.one_of(
    st.builds(lambda content: {"role": "user", "content": content}, TEXTS | st.lists(OF_USERS, max_size=3)),
    st.builds(lambda content: {"role": "assistant", "content": content}, TEXTS | st.lists(OF_ASSISTANTS, max_size=3)),
    st.just({"role": "system", "content": "x"}),
)
MESSAGE_BODIES = st.builds(
    lambda messages, odd: asked(messages=messages, **odd),
    st.lists(MESSAGES, min_size=1, max_size=4),
    st.dictionaries(
        st.sampled_from(
            ["system", "tools", "tool_choice", "thinking", "output_config", "metadata", "top_k", "stream"]
        ),
        ANY_JSON,
        max_size=2,
    ),
)

TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {"x": {"type": "array"}}}}
OPTIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "thinking": st.sampled_from(
            [
                {"type": "enabled", "budget_tokens": 2000},
                {"type": "enabled", "budget_tokens": 9000, "display": "omitted"},
                {"type": "adaptive"},
                {"type": "adaptive", "display": "summarized"},
                {"type": "disabled"},
                {"type": "between_tools"},
            ]
        ),
        "output_config": st.sampled_from([{"effort": "low"}, {"effort": "max"}, {}]),
        "tools": st.sampled_from([[TOOL], [{**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]]),
        "max_tokens": st.sampled_from([10, 4000]),
        "top_k": st.sampled_from([1, 400, 900]),
        "temperature": st.sampled_from([0.5, 1]),
        "cache_control": st.just({"type": "ephemeral"}),
        "system": st.sampled_from(["x", [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]]),
        "stream": st.booleans(),
    },
)


@st.composite
def message_bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A conversation of any blocks with options that are right."""
    body = asked(messages=draw(st.lists(MESSAGES, min_size=1, max_size=4))) | draw(OPTIONS)
    if "tools" in body:
        kinds = [{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "f"}]
        choice = draw(st.sampled_from(kinds)) | draw(st.sampled_from([{}, {"disable_parallel_tool_use": True}]))
        body |= draw(st.sampled_from([{}, {"tool_choice": choice}, {"tool_choice": {"type": "none"}}]))
    return body
