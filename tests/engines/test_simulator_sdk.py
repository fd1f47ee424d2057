"""What an application with OpenAI's SDK sees."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx2
import openai
import pytest
from raw_http import Engine

ASK = [{"role": "user", "content": "Why is water wet?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": "integer", "minimum": 2, "maximum": 7},
            },
            "required": ["city", "unit", "days"],
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def client(engine: Engine) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=engine.base_url, api_key="none", max_retries=0, timeout=10) as sdk:
        yield sdk


@pytest.fixture
async def async_client(engine: Engine) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=engine.base_url, api_key="none", max_retries=0, timeout=10) as sdk:
        yield sdk


def test_a_reply_says_that_it_is_simulated_and_counts_its_tokens(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="gpt-4o", messages=ASK)
    text = reply.choices[0].message.content
    assert reply.model == "headgate-simulator"
    assert text.startswith("This is a simulated answer. You asked: “Why is water wet?”.")
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.prompt_tokens == 4
    assert reply.usage.completion_tokens == len(text.split(" "))
    assert reply.usage.total_tokens == 4 + reply.usage.completion_tokens


def test_the_same_question_has_the_same_answer_and_a_seed_another(client: openai.OpenAI) -> None:
    first, second, seeded = (
        client.chat.completions.create(model="x", messages=ASK, seed=seed).choices[0].message.content
        for seed in (None, None, 7)
    )
    assert first == second
    assert first != seeded


def test_a_stream_has_the_text_of_the_reply(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="x", messages=ASK)
    chunks = list(
        client.chat.completions.create(model="x", messages=ASK, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == reply.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks[-3:-1]] == [None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == reply.usage
    assert {c.model for c in chunks} == {"headgate-simulator"}


async def test_many_streams_at_once(async_client: openai.AsyncOpenAI) -> None:
    async def text(at: int) -> str:
        messages = [{"role": "user", "content": f"question {at}"}]
        stream = await async_client.chat.completions.create(model="x", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    texts = await asyncio.gather(*(text(at) for at in range(20)))
    assert len(set(texts)) == 20
    assert all(f"question {at}" in text for at, text in enumerate(texts))


def test_max_tokens_cut_and_stop_sequences_stop(client: openai.OpenAI) -> None:
    cut = client.chat.completions.create(model="x", messages=ASK, max_tokens=3)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("This is a", "length")
    assert cut.usage.completion_tokens == 3
    newer = client.chat.completions.create(model="x", messages=ASK, max_completion_tokens=2, max_tokens=9)
    assert newer.choices[0].message.content == "This is"
    stopped = client.chat.completions.create(model="x", messages=ASK, stop=["answer", "never"])
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == (
        "This is a simulated ",
        "stop",
    )


def test_n_choices_are_different_and_a_stream_interleaves_them(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="x", messages=ASK, n=3)
    texts = [choice.message.content for choice in reply.choices]
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert reply.usage.completion_tokens == sum(len(text.split(" ")) for text in texts)
    streamed, order = ["", "", ""], []
    for chunk in client.chat.completions.create(model="x", messages=ASK, n=3, stream=True):
        choice = chunk.choices[0]
        streamed[choice.index] += choice.delta.content or ""
        order.append(choice.index)
    assert streamed == texts
    assert order[:9] == [0, 1, 2] * 3


def test_text_completions_with_lists_and_echo(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="x", prompt=["one", "two words"], echo=True, n=2, max_tokens=5)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert [c.text for c in reply.choices] == ["oneThis is a simulated answer."] * 2 + [
        "two wordsThis is a simulated answer."
    ] * 2
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 20)
    tokens = client.completions.create(model="x", prompt=[5, 6, 7], echo=True, max_tokens=0)
    assert (tokens.choices[0].text, tokens.choices[0].finish_reason) == ("5 6 7", "length")
    stream = client.completions.create(model="x", prompt="one", echo=True, stream=True, max_tokens=5)
    assert "".join(chunk.choices[0].text for chunk in stream) == "oneThis is a simulated answer."


@pytest.mark.parametrize("choice", [None, "auto", "required"])
def test_a_tool_is_called_with_arguments_of_its_schema(client: openai.OpenAI, choice: str | None) -> None:
    options = {} if choice is None else {"tool_choice": choice}
    reply = client.chat.completions.create(model="x", messages=ASK, tools=[WEATHER, CLOCK], **options)
    (call,) = reply.choices[0].message.tool_calls
    assert (reply.choices[0].finish_reason, reply.choices[0].message.content) == ("tool_calls", None)
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "simulated", "unit": "c", "days": 2}


def test_a_forced_tool_and_parallel_tools_are_streamed(client: openai.OpenAI) -> None:
    forced = {"type": "function", "function": {"name": "get_time"}}
    reply = client.chat.completions.create(model="x", messages=ASK, tools=[WEATHER, CLOCK], tool_choice=forced)
    assert [call.function.name for call in reply.choices[0].message.tool_calls] == ["get_time"]
    options = {"tool_choice": "required", "parallel_tool_calls": True, "stream": True}
    calls: dict[int, list[str]] = {}
    for chunk in client.chat.completions.create(model="x", messages=ASK, tools=[WEATHER, CLOCK], **options):
        for call in chunk.choices[0].delta.tool_calls or ():
            if call.id:
                assert (call.type, call.function.arguments) == ("function", "")
                calls[call.index] = [call.function.name, ""]
            calls[call.index][1] += call.function.arguments
    assert chunk.choices[0].finish_reason == "tool_calls"
    assert calls == {0: ["get_weather", '{"city":"simulated","unit":"c","days":2}'], 1: ["get_time", "{}"]}


def test_after_a_tools_result_comes_text(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="x", messages=ASK, tools=[WEATHER]).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sunny"}
    reply = client.chat.completions.create(model="x", messages=[*ASK, first, result], tools=[WEATHER])
    assert reply.choices[0].message.tool_calls is None
    assert reply.choices[0].message.content.startswith("This is a simulated answer.")
    none = client.chat.completions.create(model="x", messages=ASK, tools=[WEATHER], tool_choice="none")
    assert none.choices[0].message.tool_calls is None


def test_structured_answers(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="x", messages=ASK, response_format={"type": "json_object"})
    assert json.loads(reply.choices[0].message.content)["simulated"] is True
    schema = {
        "type": "object",
        "properties": {"score": {"type": "number", "minimum": 3}},
        "required": ["score"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    reply = client.chat.completions.create(model="x", messages=ASK, response_format=form)
    assert json.loads(reply.choices[0].message.content) == {"score": 3}


def test_embeddings_are_unit_vectors_in_both_encodings(client: openai.OpenAI) -> None:
    reply = client.embeddings.create(model="x", input=["one", "two words"])  # the SDK asks for base64
    floats = client.embeddings.create(model="x", input=["one", "two words"], encoding_format="float")
    assert [e.embedding for e in reply.data] == [e.embedding for e in floats.data]
    assert [len(e.embedding) for e in reply.data] == [384, 384]
    assert sum(x * x for x in reply.data[0].embedding) == pytest.approx(1, abs=1e-5)
    assert (reply.usage.prompt_tokens, reply.usage.total_tokens) == (3, 3)
    ids = client.embeddings.create(model="x", input=[[1, 2], [3]], dimensions=8)
    assert [len(e.embedding) for e in ids.data] == [8, 8]
    assert len(client.embeddings.create(model="x", input=[1, 2, 3]).data) == 1


def test_models(client: openai.OpenAI) -> None:
    (card,) = client.models.list().data
    assert (card.id, card.owned_by) == ("headgate-simulator", "headgate-simulator")
    assert "simulator" in card.model_extra["description"]
    assert client.models.retrieve("headgate-simulator") == card
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("meta-llama/Llama-3-8B")


def test_failures_are_the_sdks_exceptions(client: openai.OpenAI) -> None:
    slow = {"status": 429, "retry_after": 2, "error": {"message": "slow", "code": "rate_limit_exceeded"}}
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="x", messages=ASK, extra_body={"simulate": slow})
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "2"
    with pytest.raises(openai.InternalServerError, match="status 503"):
        client.embeddings.create(model="x", input="a", extra_body={"simulate": {"status": 503}})
    cut = {"cut_after": "before_headers"}
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="x", messages=ASK, extra_body={"simulate": cut})


def test_pictures_sound_and_moderation(client: openai.OpenAI) -> None:
    drawn = client.images.generate(model="x", prompt="a red fox", n=2)
    assert (len(drawn.data), drawn.usage.input_tokens, drawn.usage.output_tokens) == (2, 3, 2 * 272)
    assert drawn.data[0].b64_json != drawn.data[1].b64_json
    assert drawn == client.images.generate(model="x", prompt="a red fox", n=2).model_copy(
        update={"created": drawn.created}
    )
    edits = list(client.images.edit(model="x", image=b"png", prompt="a fox", stream=True, partial_images=1))
    assert [event.type for event in edits] == ["image_edit.partial_image", "image_edit.completed"]
    sound = client.audio.speech.create(model="x", voice="alloy", input="Hello").read()
    heard = client.audio.transcriptions.create(model="x", file=sound, response_format="verbose_json")
    assert (heard.text, heard.duration) == (f"A simulated transcript of {len(sound)} bytes of sound.", 1)
    assert [one.flagged for one in client.moderations.create(model="x", input=["a", "b"]).results] == [False, False]


@pytest.mark.parametrize(
    "body", [b"", b"--x--\r\n", b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--x--']
)
def test_forms_that_lack_something(engine: Engine, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    reply = httpx2.post(f"{engine.base_url}/audio/transcriptions", content=body, headers=headers, timeout=60)
    assert reply.status_code == 400
    assert "Form is missing the" in reply.json()["error"]["message"]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "x", ""])
def test_a_page_of_stored_completions_has_a_limit(client: openai.OpenAI, limit: str) -> None:
    with pytest.raises(openai.BadRequestError, match="`limit` is a number from 1 to 100"):
        client.chat.completions.list(extra_query={"limit": limit})
