"""What an application with Anthropic's SDK sees, and that the other API says the same of the same question."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message, MessageParam, TextBlock, ThinkingBlock, ToolParam, ToolUseBlock
from raw_http import ASK, Engine

MESSAGES: list[MessageParam] = [{"role": "user", "content": "Why is water wet?"}]
WEATHER: ToolParam = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}, "days": {"type": "integer"}},
        "required": ["city", "unit", "days"],
    },
}
CLOCK: ToolParam = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}
FORECAST = {"city": "simulated", "unit": "c", "days": 1}


@pytest.fixture
def client(engine: Engine) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=root(engine), api_key="none", max_retries=0, timeout=10) as sdk:
        yield sdk


@pytest.fixture
async def async_client(engine: Engine) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=root(engine), api_key="none", max_retries=0, timeout=10) as sdk:
        yield sdk


def root(engine: Engine) -> str:
    return engine.base_url.removesuffix("/v1")


def ask(client: anthropic.Anthropic, simulate: dict[str, Any] | None = None, **fields: Any) -> Message:
    body = {"model": "x", "messages": MESSAGES, "max_tokens": 100, **fields}
    found = client.messages.create(**body, extra_body={"simulate": simulate or {}})
    assert isinstance(found, Message)
    return found


def streamed(client: anthropic.Anthropic, simulate: dict[str, Any] | None = None, **fields: Any) -> Message:
    """The message that the SDK puts together from a stream."""
    body = {"model": "x", "messages": MESSAGES, "max_tokens": 100, **fields}
    with client.messages.stream(**body, extra_body={"simulate": simulate or {}}) as stream:
        return stream.get_final_message()


def text_of(message: Message) -> str:
    (block,) = message.content
    assert isinstance(block, TextBlock)
    return block.text


def calls_of(message: Message) -> list[tuple[str, object]]:
    return [(block.name, block.input) for block in message.content if isinstance(block, ToolUseBlock)]


def test_a_message_says_that_it_is_simulated_and_counts_its_tokens(client: anthropic.Anthropic) -> None:
    reply = ask(client)
    assert (reply.model, reply.role, reply.stop_reason) == ("headgate-simulator", "assistant", "end_turn")
    assert text_of(reply).startswith("This is a simulated answer. You asked: “Why is water wet?”.")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (4, len(text_of(reply).split(" ")))
    assert (reply.usage.cache_read_input_tokens, reply.usage.cache_creation_input_tokens) == (0, 0)


def test_chat_says_the_same_of_the_same_question(engine: Engine, client: anthropic.Anthropic) -> None:
    history = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."}]
    with openai.OpenAI(base_url=engine.base_url, api_key="none", max_retries=0, timeout=10) as chat:
        said = chat.chat.completions.create(
            model="x",
            messages=[{"role": "system", "content": "Be brief, please."}, *history, *ASK["messages"]],
        )
    reply = ask(client, system="Be brief, please.", messages=[*history, *MESSAGES])
    assert said.usage
    assert text_of(reply) == said.choices[0].message.content
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (
        said.usage.prompt_tokens,
        said.usage.completion_tokens,
    )


@pytest.mark.parametrize(
    ("simulate", "fields"),
    [
        ({}, {}),
        ({}, {"max_tokens": 3}),
        ({}, {"stop_sequences": ["answer"]}),
        ({"tokens": 0}, {}),
        ({"reasoning": 4, "tokens": 3}, {}),
        ({"reasoning": 4}, {"max_tokens": 2}),
        ({"text": "ü 漢字 🙂 \n\n data: x"}, {}),
        ({"cached_tokens": 2, "cache_write_tokens": 1, "reasoning_tokens": 3}, {}),
        ({"usage_first": True, "nested_usage": True, "spaces": True, "crlf": True}, {}),
        ({"frame_bytes": 7, "tokens": 3, "token_s": 0}, {}),
        ({}, {"tools": [WEATHER, CLOCK]}),
        ({}, {"tools": [WEATHER, CLOCK], "tool_choice": {"type": "any", "disable_parallel_tool_use": False}}),
        ({"reasoning": 2}, {"tools": [WEATHER]}),
    ],
)
def test_a_stream_is_put_together_to_the_message(
    client: anthropic.Anthropic, simulate: dict[str, Any], fields: dict[str, Any]
) -> None:
    whole, from_stream = (of(client, simulate, **fields).to_dict(exclude_none=True) for of in (ask, streamed))
    for one in (whole, from_stream):
        one.pop("id")
        for block in one["content"]:
            block.pop("id", None)
    assert from_stream == whole


def test_usage_with_cache(client: anthropic.Anthropic) -> None:
    usage = ask(client, {"cached_tokens": 2, "cache_write_tokens": 1, "reasoning_tokens": 3, "tokens": 5}).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (1, 2, 1)
    assert usage.output_tokens == 5
    assert usage.output_tokens_details
    assert usage.output_tokens_details.thinking_tokens == 3


def test_max_tokens_cut_and_stop_sequences_stop(client: anthropic.Anthropic) -> None:
    cut = ask(client, max_tokens=3)
    assert (text_of(cut), cut.stop_reason, cut.stop_sequence) == ("This is a", "max_tokens", None)
    stopped = ask(client, stop_sequences=["never", "answer"])
    assert text_of(stopped) == "This is a simulated "
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "answer")


def test_thinking_comes_first_and_is_signed(client: anthropic.Anthropic) -> None:
    thinking, text = ask(client, {"reasoning": 3, "tokens": 2}).content
    assert isinstance(thinking, ThinkingBlock)
    assert isinstance(text, TextBlock)
    assert (thinking.thinking, text.text) == ("This is a", "This is")
    assert thinking.signature


@pytest.mark.parametrize("of", [ask, streamed])
def test_tools_are_called_as_in_chat(client: anthropic.Anthropic, of: Any) -> None:
    tools, both = [WEATHER, CLOCK], {"type": "any", "disable_parallel_tool_use": False}
    reply = of(client, tools=tools)
    assert (reply.stop_reason, calls_of(reply)) == ("tool_use", [("get_weather", FORECAST)])
    assert reply.content[0].id.startswith("toolu_")
    assert calls_of(of(client, tools=tools, tool_choice={"type": "any"})) == [("get_weather", FORECAST)]
    assert calls_of(of(client, tools=tools, tool_choice=both)) == [("get_weather", FORECAST), ("get_time", {})]
    assert calls_of(of(client, tools=tools, tool_choice={"type": "tool", "name": "get_time"})) == [("get_time", {})]
    assert calls_of(of(client, tools=tools, tool_choice={"type": "none"})) == []


def test_after_a_tools_result_comes_text(client: anthropic.Anthropic) -> None:
    first = ask(client, tools=[WEATHER])
    block = first.content[0]
    assert isinstance(block, ToolUseBlock)
    for content in ("sunny", [{"type": "text", "text": "sunny"}], None):
        result = {"type": "tool_result", "tool_use_id": block.id, "content": content}
        messages = [*MESSAGES, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        reply = ask(client, tools=[WEATHER], messages=messages)
        assert text_of(reply).startswith("This is a simulated answer. You asked: “Why is water wet?”.")
        assert reply.usage.input_tokens == (4 if content is None else 5)


def test_a_structured_answer(client: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"score": {"type": "number", "minimum": 3}}, "required": ["score"]}
    reply = ask(client, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert text_of(reply) == '{"score":3}'


def test_counting(client: anthropic.Anthropic) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    messages = [{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}]
    counted = client.messages.count_tokens(model="x", system="Be brief.", messages=messages)
    assert counted.input_tokens == 2 + 1 + 3


def test_failures_are_the_sdks_exceptions(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.RateLimitError, match="status 429") as caught:
        ask(client, {"status": 429, "retry_after": 2})
    assert caught.value.response.headers["retry-after"] == "2"
    with pytest.raises(anthropic.OverloadedError):
        ask(client, {"status": 529})
    with pytest.raises(anthropic.APIConnectionError):
        ask(client, {"cut_after": "before_headers"})
    with pytest.raises(anthropic.InternalServerError):
        client.messages.count_tokens(model="x", messages=MESSAGES, extra_body={"simulate": {"status": 503}})


async def test_a_stream_is_iterated(async_client: anthropic.AsyncAnthropic) -> None:
    stream = await async_client.messages.create(model="x", messages=MESSAGES, max_tokens=2, stream=True)
    kinds = [event.type async for event in stream]
    delta = ["content_block_delta"] * 2
    start, end = ["message_start", "content_block_start"], ["content_block_stop", "message_delta", "message_stop"]
    assert kinds == [*start, *delta, *end]
