"""Requests that OpenAI's Responses API allows, drawn by hypothesis."""

from typing import Any

from hypothesis import strategies as st

from extproc.translate.sealed import Sealed, seal
from tests.translate.chat_bodies import ARGUMENTS, FILES, PICTURES, SCHEMAS, TEXT, WORD, objects, some

INPUT_TEXT = objects(type=st.just("input_text"), text=TEXT)
DETAILS = st.sampled_from(["auto", "low", "high", "original"])
SHOWN = st.one_of(
    INPUT_TEXT,
    objects(type=st.just("input_image"), image_url=PICTURES, detail=DETAILS),
    objects(type=st.just("input_image"), file_id=WORD, detail=DETAILS),
    objects(type=st.just("input_file"), file_data=FILES, filename=TEXT),
    objects(type=st.just("input_file"), file_url=st.just("https://example.com/a.pdf")),
    objects(type=st.just("input_file"), file_id=WORD),
)
OUTPUT_TEXT = objects(type=st.just("output_text"), text=TEXT, annotations=st.just([]), logprobs=st.just([]))
REFUSAL = objects(type=st.just("refusal"), refusal=TEXT)
STATUS = st.sampled_from(["in_progress", "completed", "incomplete"])
SEALED = st.sampled_from(
    [
        None,
        "gAAAAABopaque",
        seal(Sealed([{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}], {})),
        seal(Sealed([], {"call_0_0": "EqQBCqEBAQ=="})),
        "headgate1.broken",
    ]
)
REASONING = objects(
    type=st.just("reasoning"),
    id=WORD,
    summary=st.lists(objects(type=st.just("summary_text"), text=TEXT), max_size=1),
    encrypted_content=SEALED,
)
UNKNOWN_ITEMS = st.sampled_from(
    [
        {"type": "item_reference", "id": "msg_1"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"type": "local_shell_call_output", "id": "sh_1", "output": "x"},
    ]
)
FUNCTION = objects(type=st.just("function"), name=WORD, parameters=SCHEMAS, strict=st.booleans())
CUSTOM = objects(
    type=st.just("custom"),
    name=WORD,
    format=st.sampled_from(
        [{"type": "text"}, {"type": "grammar", "syntax": "regex", "definition": "a+"}],
    ),
)
BUILT_IN = st.sampled_from(
    [
        {"type": "web_search"},
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "mcp", "server_label": "x", "server_url": "https://example.com"},
        {"type": "image_generation"},
        {"type": "local_shell"},
    ]
)


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A question, an answer and perhaps the results of tools."""
    role = draw(st.sampled_from(["system", "developer"]))
    instruction = {"role": role, "content": draw(TEXT | st.lists(INPUT_TEXT, max_size=2))}
    parts = [*draw(st.lists(SHOWN, max_size=3)), {"type": "input_text", "text": "Well?"}]
    question = {"type": "message", "role": "user", "content": draw(st.just("Hello") | st.just(parts))}
    answer = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": draw(STATUS),
        "content": draw(st.lists(OUTPUT_TEXT | REFUSAL, max_size=2)),
    }
    called = draw(st.lists(st.tuples(WORD, ARGUMENTS, st.booleans()), max_size=3))
    calls, results = list[Any](), list[Any]()
    for number, (name, text, is_custom) in enumerate(called):
        call = {"call_id": f"call_{draw(st.integers(0, 99))}_{number}", "name": name}
        kind = "custom_tool_call" if is_custom else "function_call"
        calls.append({"type": kind, **call, "input" if is_custom else "arguments": text})
        output = draw(TEXT | st.lists(SHOWN, min_size=1, max_size=2))
        results.append({"type": f"{kind}_output", "call_id": call["call_id"], "output": output})
    said = [*draw(st.lists(REASONING, max_size=1)), answer, *draw(st.lists(UNKNOWN_ITEMS, max_size=1))]
    return [instruction, question, *said, *calls, *draw(st.permutations(results))]


PARAMETERS = some(
    background=st.booleans(),
    include=st.lists(
        st.sampled_from(["message.output_text.logprobs", "reasoning.encrypted_content", "file_search_call.results"])
    ),
    instructions=TEXT,
    max_output_tokens=st.integers(16, 2**20),
    max_tool_calls=st.integers(1, 9),
    metadata=st.dictionaries(WORD, TEXT, max_size=2),
    parallel_tool_calls=st.booleans(),
    previous_response_id=WORD,
    prompt_cache_key=TEXT,
    reasoning=some(
        effort=st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"]),
        summary=st.sampled_from(["auto", "concise", "detailed"]),
    ),
    safety_identifier=TEXT,
    service_tier=st.sampled_from(["auto", "default", "flex", "scale", "priority", "fast"]),
    store=st.booleans(),
    stream=st.booleans(),
    stream_options=some(include_obfuscation=st.booleans()),
    temperature=st.floats(0, 2),
    top_logprobs=st.integers(0, 20),
    top_p=st.floats(0, 1),
    truncation=st.sampled_from(["auto", "disabled"]),
    user=TEXT,
    text=some(
        format=st.sampled_from([{"type": "text"}, {"type": "json_object"}])
        | objects(type=st.just("json_schema"), name=WORD, schema=SCHEMAS, strict=st.booleans()),
        verbosity=st.sampled_from(["low", "medium", "high"]),
    ),
)


@st.composite
def choices(draw: st.DrawFn, tools: list[dict[str, Any]]) -> Any:
    """A choice among the tools that are there."""
    mine = [{"type": tool["type"], "name": tool["name"]} for tool in tools if "name" in tool]
    if not mine:
        return draw(st.sampled_from(["none", "auto"]))
    allowed = {"type": "allowed_tools", "mode": draw(st.sampled_from(["auto", "required"])), "tools": mine}
    return draw(st.sampled_from(["none", "auto", "required", mine[0], allowed]))


@st.composite
def response_bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Any request."""
    items = [item for turn in draw(st.lists(turns(), min_size=1, max_size=2)) for item in turn]
    body = {"model": "chat", "input": draw(st.just("Hello") | st.just(items)), **draw(PARAMETERS)}
    if tools := draw(st.lists(st.one_of(FUNCTION, CUSTOM, BUILT_IN), max_size=3)):
        body["tools"] = tools
        body["tool_choice"] = draw(choices(tools))
    return body
