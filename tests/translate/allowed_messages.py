"""Requests that Anthropic's Messages API allows, drawn by hypothesis."""

from typing import Any

from hypothesis import strategies as st

from tests.translate.chat_bodies import SCHEMAS, TEXT, WORD, objects, some

HINTS = some(cache_control=objects(type=st.just("ephemeral")))
TEXTS = st.builds(lambda text, hint: {"type": "text", "text": text, **hint}, TEXT.filter(str.strip), HINTS)
DATA = st.sampled_from(
    [
        {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        {"type": "url", "url": "https://example.com/a.png"},
    ]
)
PAPERS = st.sampled_from(
    [
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        {"type": "text", "media_type": "text/plain", "data": "Hi"},
        {"type": "url", "url": "https://example.com/a.pdf"},
        {"type": "content", "content": "Hi"},
    ]
)
SEEN = st.one_of(
    TEXTS,
    objects(type=st.just("image"), source=DATA),
    st.builds(
        lambda source, more: {"type": "document", "source": source, **more}, PAPERS, some(title=TEXT, context=TEXT)
    ),
    st.builds(
        lambda text: {"type": "search_result", "source": "s", "title": "t", "content": [text]},
        objects(type=st.just("text"), text=TEXT.filter(str.strip)),
    ),
)
RESULTS = TEXT | st.lists(SEEN, max_size=2)
THOUGHTS = st.sampled_from(
    [{"type": "thinking", "thinking": "Hm", "signature": "EqQB"}, {"type": "redacted_thinking", "data": "EmwK"}]
)
OBJECTS = objects(type=st.just("object"), properties=objects(a=SCHEMAS))
TOOLS = st.builds(
    lambda name, schema, more: {
        "name": name,
        "input_schema": {"type": "object", "properties": {"a": schema}},
        **more,
    },
    WORD,
    SCHEMAS,
    some(description=TEXT, strict=st.booleans()),
)
PARAMETERS = some(
    metadata=some(user_id=TEXT),
    output_config=some(
        effort=st.sampled_from(["low", "medium", "high", "max"]),
        format=objects(type=st.just("json_schema"), schema=OBJECTS),
    ),
    service_tier=st.sampled_from(["auto", "standard_only"]),
    stop_sequences=st.lists(TEXT.filter(str.strip), max_size=3),
    stream=st.booleans(),
    system=TEXT | st.lists(TEXTS, max_size=2),
    temperature=st.floats(0, 1),
    thinking=st.sampled_from(
        [{"type": "disabled"}, {"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}]
    ),
    tool_choice=st.sampled_from(
        [{"type": "auto"}, {"type": "none"}, {"type": "auto", "disable_parallel_tool_use": True}]
    ),
    tools=st.lists(TOOLS, max_size=3, unique_by=lambda tool: tool["name"]),
    top_k=st.integers(0, 100),
    top_p=st.floats(0, 1),
)


@st.composite
def turns(draw: st.DrawFn, number: int) -> list[dict[str, Any]]:
    """What is asked, and an answer with calls and their results."""
    asked = {"role": "user", "content": draw(TEXT.filter(str.strip) | st.lists(SEEN, min_size=1, max_size=3))}
    calls = [f"toolu_{number}{call}" for call in range(draw(st.integers(0, 2)))]
    said = [*draw(st.lists(THOUGHTS, max_size=1)), *draw(st.lists(TEXTS, min_size=not calls, max_size=2))]
    said += [{"type": "tool_use", "id": call, "name": "f", "input": {"a": draw(TEXT)}} for call in calls]
    results = [
        {"type": "tool_result", "tool_use_id": call, "content": draw(RESULTS), "is_error": draw(st.booleans())}
        for call in calls
    ]
    heard: Any = [*results, *draw(st.lists(SEEN, min_size=not results, max_size=1))]
    return [asked, {"role": "assistant", "content": said}, {"role": "user", "content": heard}]


@st.composite
def allowed_messages(draw: st.DrawFn) -> dict[str, Any]:
    """Any request."""
    messages = [message for number in range(draw(st.integers(1, 2))) for message in draw(turns(number))]
    made = {"model": "chat", "max_tokens": draw(st.integers(1, 9000)), "messages": messages, **draw(PARAMETERS)}
    return made if made.get("tools") else {name: value for name, value in made.items() if name != "tool_choice"}
