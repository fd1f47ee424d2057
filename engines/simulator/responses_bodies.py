"""Request bodies of OpenAI's Responses API, and the chat that they mean. Pure."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engines.simulator.bodies import (
    ChatBody,
    Function,
    FunctionName,
    JsonSchema,
    Message,
    NamedToolChoice,
    Part,
    ResponseFormat,
    Tool,
    decoded,
)
from engines.simulator.errors import BodyError
from engines.simulator.faults import NOTHING, Simulate


class Item(msgspec.Struct, frozen=True):
    """One item of the input: a message, or what is known of another kind."""

    type: str = "message"
    role: str | None = None
    content: str | list[Part] | None = None
    output: Any = None
    call_id: str | None = None


class FunctionTool(msgspec.Struct, frozen=True):
    """An entry of `tools`; only functions are called."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """A `tool_choice` that is more than a word; one of a `function` has its name."""

    type: str
    name: str | None = None


class Format(msgspec.Struct, frozen=True):
    """`text.format`."""

    type: Literal["text", "json_object", "json_schema"]
    name: str = "output"
    schema: dict[str, Any] = {}


class Text(msgspec.Struct, frozen=True):
    """`text`."""

    format: Format | None = None


class CountBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/responses/input_tokens`."""

    model: str | None = None
    input: str | list[Item] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    simulate: Simulate = NOTHING


class ResponsesBody(CountBody, frozen=True, kw_only=True):
    """`POST /v1/responses`."""

    background: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=16)] | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    text: Text | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    tools: list[FunctionTool] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None


_RESPONSES = msgspec.json.Decoder(ResponsesBody)
_COUNT = msgspec.json.Decoder(CountBody)


def responses_body(raw: bytes) -> ResponsesBody:
    """Decode a request for a response. Raises `BodyError`."""
    return decoded(raw, _RESPONSES)


def count_body(raw: bytes) -> CountBody:
    """Decode a request for a count. Raises `BodyError`."""
    return decoded(raw, _COUNT)


def messages_of(body: CountBody, earlier: list[Message]) -> list[Message]:
    """Return the messages that the model reads, those of earlier responses first. Raises `BodyError`."""
    given = [Item(role="user", content=body.input)] if isinstance(body.input, str) else body.input or []
    system = [Message("system", body.instructions)] if body.instructions else []
    found = [*system, *earlier, *map(_message, given)]
    if not found:
        raise BodyError("`input` is required", "input")
    return found


def chat_of(body: ResponsesBody, messages: list[Message]) -> ChatBody:
    """Return the chat that a request means."""
    form = body.text.format if body.text else None
    schema = JsonSchema(form.name, form.schema) if form and form.type == "json_schema" else None
    return ChatBody(
        model=body.model,
        messages=messages,
        max_completion_tokens=body.max_output_tokens,
        stream=body.stream,
        tools=[
            Tool(Function(tool.name, tool.description, tool.parameters)) for tool in body.tools or () if tool.name
        ],
        tool_choice=_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        response_format=ResponseFormat(form.type, schema) if form else None,
        simulate=body.simulate,
    )


def _message(item: Item) -> Message:
    if item.type == "message":
        return Message(item.role or "user", item.content)
    if item.output is not None:
        text = item.output if isinstance(item.output, str) else msgspec.json.encode(item.output).decode()
        return Message("tool", text, tool_call_id=item.call_id)
    return Message("assistant")


def _choice(
    choice: Literal["none", "auto", "required"] | ToolChoice | None,
) -> Literal["none", "auto", "required"] | NamedToolChoice | None:
    if isinstance(choice, ToolChoice):
        return NamedToolChoice(FunctionName(choice.name)) if choice.name else "auto"
    return choice
