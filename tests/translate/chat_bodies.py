"""Requests that OpenAI's chat completions API allows, drawn by hypothesis."""

from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WORD = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
PICTURES = st.sampled_from(
    [
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/gif;base64,R0lG",
        "https://example.com/a.jpg",
        "http://x.test/b",
    ]
)
FILES = st.sampled_from(["data:application/pdf;base64,JVBERi0=", "data:text/plain;base64,SGk=", "JVBERi0xLjQ="])


def objects(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have all of these members."""
    return st.fixed_dictionaries(members)


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have any of these members, and null in some."""
    return st.fixed_dictionaries({}, optional={name: st.none() | value for name, value in members.items()})


TEXT_PART = objects(type=st.just("text"), text=TEXT)
PARTS = st.one_of(
    TEXT_PART,
    objects(
        type=st.just("image_url"), image_url=objects(url=PICTURES, detail=st.sampled_from(["auto", "low", "high"]))
    ),
    objects(type=st.just("file"), file=objects(file_data=FILES, filename=TEXT)),
    objects(
        type=st.just("input_audio"), input_audio=objects(data=st.just("AAAA"), format=st.sampled_from(["wav", "mp3"]))
    ),
)
SCHEMAS = st.recursive(
    st.sampled_from(
        [{"type": "string"}, {"type": ["integer", "null"], "minimum": 1}, {"enum": ["a", 1, None]}, {}, True]
    ),
    lambda inner: (
        objects(type=st.just("object"), properties=st.dictionaries(WORD, inner, max_size=3), required=st.lists(WORD))
        | objects(type=st.just("array"), items=inner.filter(lambda one: one is not True), maxItems=st.just(3))
        | objects(anyOf=st.lists(inner, min_size=1, max_size=2), pattern=TEXT)
        | objects(oneOf=st.lists(inner, min_size=1, max_size=2), description=TEXT)
    ),
    max_leaves=5,
).filter(lambda schema: schema is not True)
FUNCTIONS = objects(name=WORD) | objects(
    name=WORD, description=TEXT, parameters=SCHEMAS, strict=st.none() | st.booleans()
)
TOOLS = objects(type=st.just("function"), function=FUNCTIONS)
ARGUMENTS = st.sampled_from(["{}", "", '{"a": 1}', "not json", "[1]", '{"deep": {"n": [1.50, "é"]}}'])
EXTRA = some(google=some(thought_signature=st.just("EqQBCqEBAQ==")))


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A question, an answer and perhaps the results of tools."""
    parts = [*draw(st.lists(PARTS, max_size=3)), {"type": "text", "text": "Well?"}]
    question = {"role": "user", "content": draw(st.just("Hello") | st.just(parts))}
    instruction = {"role": draw(st.sampled_from(["system", "developer"])), "content": draw(TEXT)}
    answer = {"role": "assistant", "content": draw(st.none() | TEXT | st.lists(TEXT_PART, max_size=2))}
    answer |= draw(some(refusal=TEXT, extra_content=EXTRA, reasoning_content=TEXT))
    calls = [
        {
            "id": f"call_{draw(st.integers(0, 99))}_{number}",
            "type": "function",
            "function": {"name": name, "arguments": text},
        }
        for number, (name, text) in enumerate(draw(st.lists(st.tuples(WORD, ARGUMENTS), max_size=3)))
    ]
    if calls:
        answer["tool_calls"] = [call | draw(some(extra_content=EXTRA)) for call in calls]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT | st.lists(TEXT_PART, max_size=2))}
        for call in draw(st.permutations(calls))
    ]
    return [instruction, question, answer, *results]


PARAMETERS = some(
    frequency_penalty=st.floats(-2, 2),
    logit_bias=st.just({}),
    logprobs=st.booleans(),
    max_completion_tokens=st.integers(1, 2**20),
    max_tokens=st.integers(1, 2**20),
    metadata=st.dictionaries(WORD, TEXT, max_size=1),
    n=st.integers(1, 128),
    parallel_tool_calls=st.booleans(),
    presence_penalty=st.floats(-2, 2),
    prompt_cache_key=TEXT,
    reasoning_effort=st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"]),
    response_format=st.sampled_from([{"type": "text"}, {"type": "json_object"}])
    | objects(type=st.just("json_schema"), json_schema=objects(name=WORD, schema=SCHEMAS, strict=st.booleans())),
    seed=st.integers(-(2**63), 2**63 - 1),
    service_tier=st.sampled_from(["auto", "default", "flex", "priority", "scale"]),
    stop=TEXT | st.lists(TEXT, max_size=4),
    store=st.booleans(),
    stream=st.booleans(),
    temperature=st.floats(0, 2),
    tools=st.lists(TOOLS, max_size=3),
    tool_choice=st.sampled_from(["none", "auto"]),
    top_logprobs=st.integers(0, 20),
    top_p=st.floats(0, 1),
    user=TEXT,
    verbosity=st.sampled_from(["low", "medium", "high"]),
)


@st.composite
def chat_bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Any request."""
    messages = [message for turn in draw(st.lists(turns(), min_size=1, max_size=2)) for message in turn]
    return {"model": "chat", "messages": messages, **draw(PARAMETERS)}
