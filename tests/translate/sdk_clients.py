"""The official SDKs, fed prepared answers: what an application, or a provider's own parser, makes of them."""

from typing import Any

import anthropic
import httpx2
import openai
from anthropic.types import Message
from openai.lib.streaming.chat import ChatCompletionStreamState


def transport(body: bytes, content_type: str) -> httpx2.Client:
    answer = httpx2.Response(200, headers={"content-type": content_type}, content=body)
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))


def openai_assembled(stream: bytes) -> dict[str, Any]:
    """The whole completion that OpenAI's SDK puts together from a stream. Raises openai.APIError."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    with openai.OpenAI(api_key="none", http_client=transport(stream, "text/event-stream")) as client:
        for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
            state.handle_chunk(chunk)
    return state.current_completion_snapshot.model_dump(exclude_none=True)


def openai_parsed(body: bytes) -> dict[str, Any]:
    """A whole completion, read by OpenAI's SDK."""
    with openai.OpenAI(api_key="none", http_client=transport(body, "application/json")) as client:
        return client.chat.completions.create(model="m", messages=[]).model_dump(exclude_none=True)


def anthropic_assembled(stream: bytes) -> dict[str, Any]:
    """The whole message that Anthropic's SDK puts together from a stream. Raises anthropic.APIError."""
    with (
        anthropic.Anthropic(api_key="none", http_client=transport(stream, "text/event-stream")) as client,
        client.messages.stream(model="m", max_tokens=1, messages=[]) as events,
    ):
        return events.get_final_message().model_dump(exclude_none=True, warnings=False)


def anthropic_parsed(body: bytes) -> dict[str, Any]:
    """A whole message, as Anthropic's SDK has it."""
    return Message.model_validate_json(body).model_dump(exclude_none=True)
